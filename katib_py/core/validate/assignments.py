"""What a search begins with: initialAssignments and warmStart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from katib_py.core.constraints import Constraint, parse_constraint
from katib_py.core.errors import Problem, listed, show
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.parse import nearest
from katib_py.core.space import Choice, Parameter, ParameterCondition, number, parents_first
from katib_py.core.validate.region import has_value, region_problems, sound_parameters

INITIAL: Final = "spec.initialAssignments"
WARM_START: Final = "spec.warmStart"
MOST: Final = 1000
MOST_EXPERIMENTS: Final = 20


def initial_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Each names its active parameters with values that they can have, satisfies the constraints, and is new."""
    if not spec.initial_assignments:
        return
    if len(spec.initial_assignments) > MOST:
        yield Problem(INITIAL, f"has {len(spec.initial_assignments)} entries; must be at most {MOST}")
        return
    known = sound_parameters(spec.parameters)
    if len(known) < len(spec.parameters) or any(region_problems(spec)):
        return  # what they should be cannot be told
    constraints = [parse_constraint(text, list(known.values())) for text in spec.parameter_constraints]
    seen: dict[frozenset[tuple[str, Any]], int] = {}
    for index, assignment in enumerate(spec.initial_assignments):
        path = f"{INITIAL}[{index}]"
        problems = list(_problems(assignment, path, known, spec.parameter_conditions))
        yield from problems
        if problems:
            continue
        yield from _broken(assignment, path, known, constraints)
        meant = frozenset((name, _value(known[name], text)) for name, text in assignment.items())
        if meant in seen:
            yield Problem(path, f"is the same as {INITIAL}[{seen[meant]}]")
        seen.setdefault(meant, index)


def warm_start_problems(spec: ExperimentSpec, own_name: str) -> Iterator[Problem]:
    """Each names another experiment, once; whether it is there and has ended is its controller's to find out."""
    if spec.warm_start and spec.nas_config is not None:
        yield Problem(WARM_START, "stands beside nasConfig; it is for parameters")
    if len(spec.warm_start) > MOST_EXPERIMENTS:
        yield Problem(WARM_START, f"has {len(spec.warm_start)} entries; must be at most {MOST_EXPERIMENTS}")
    for index, name in enumerate(spec.warm_start):
        if not name:
            yield Problem(f"{WARM_START}[{index}]", "is empty; must be the name of an experiment")
        elif name == own_name:
            yield Problem(f"{WARM_START}[{index}]", "is this experiment itself; must be one that has ended")
        elif name in spec.warm_start[:index]:
            yield Problem(f"{WARM_START}[{index}]", f"is {show(name)}, which stands above already")


def _problems(
    assignment: Mapping[str, str],
    path: str,
    known: Mapping[str, Parameter],
    conditions: Mapping[str, ParameterCondition],
) -> Iterator[Problem]:
    for name, text in assignment.items():
        if name not in known:
            meant = nearest(name, list(known))
            hint = f": did you mean {meant}?" if meant else ""
            yield Problem(f"{path}.{name}", f"is for no parameter ({listed(known)}){hint}")
        elif not has_value(known[name], text):
            yield Problem(f"{path}.{name}", f"is {show(text)}; must be {_described(known[name])}")
    inactive = _inactive(assignment, known, conditions)
    for name in known:
        if name in inactive and name in assignment:
            condition = conditions[name]
            words = f"is not active: {condition.parent} must be one of {listed(condition.values)}; leave it out"
            yield Problem(f"{path}.{name}", words)
        elif name not in inactive and name not in assignment:
            yield Problem(f"{path}.{name}", f"is missing; must be {_described(known[name])}")


def _inactive(
    assignment: Mapping[str, str], known: Mapping[str, Parameter], conditions: Mapping[str, ParameterCondition]
) -> set[str]:
    inactive: set[str] = set()
    for name in parents_first(conditions):
        condition = conditions[name]
        parent = known[condition.parent]
        value = _value(parent, assignment.get(condition.parent, ""))
        if condition.parent in inactive or value not in [_value(parent, text) for text in condition.values]:
            inactive.add(name)
    return inactive


def _broken(
    assignment: Mapping[str, str], path: str, known: Mapping[str, Parameter], constraints: list[Constraint]
) -> Iterator[Problem]:
    values = {name: _value(known[name], assignment[name]) if name in assignment else math.nan for name in known}
    for constraint in constraints:
        if not constraint.holds(values):
            yield Problem(path, f"does not satisfy {show(constraint.text)}")


def _value(parameter: Parameter, text: str) -> float | str:
    if isinstance(parameter, Choice) and not parameter.ordered:
        return text
    try:
        return float(number(text))
    except ValueError:
        return text


def _described(parameter: Parameter) -> str:
    if isinstance(parameter, Choice):
        return f"one of {listed(parameter.values)}"
    step = f" in steps of {parameter.step}" if parameter.step is not None else ""
    return f"from {parameter.low} to {parameter.high}{step}"
