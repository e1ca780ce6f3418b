"""Which assignments are part of the search space: conditions and constraints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from katib_py.core.constraints import parse_constraint
from katib_py.core.errors import Problem, listed, show
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.parse import nearest
from katib_py.core.space import Choice, Parameter, ParameterCondition, ParameterSpec, number, parse_parameter
from katib_py.core.validate.parameters import parameters_problems

CONDITIONS: Final = "spec.parameterConditions"
CONSTRAINTS: Final = "spec.parameterConstraints"
MOST_CONSTRAINTS: Final = 100


def region_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """What is wrong with them, as far as the parameters that they speak of are sound."""
    if (spec.parameter_conditions or spec.parameter_constraints) and spec.nas_config is not None:
        path = CONDITIONS if spec.parameter_conditions else CONSTRAINTS
        yield Problem(path, "stands beside nasConfig; conditions and constraints are for parameters")
        return
    known = sound_parameters(spec.parameters)
    names = [parameter.name for parameter in spec.parameters]
    for name, condition in spec.parameter_conditions.items():
        yield from _condition_problems(name, condition, known, names)
    yield from _cycle_problems(spec.parameter_conditions)
    if len(spec.parameter_constraints) > MOST_CONSTRAINTS:
        yield Problem(CONSTRAINTS, f"has {len(spec.parameter_constraints)} entries; must be at most {MOST_CONSTRAINTS}")
        return
    if len(known) < len(names):
        return  # what the constraints say of the others cannot be told
    for index, text in enumerate(spec.parameter_constraints):
        try:
            parse_constraint(text, list(known.values()))
        except ValueError as error:
            yield Problem(f"{CONSTRAINTS}[{index}]", str(error))


def sound_parameters(specs: tuple[ParameterSpec, ...]) -> dict[str, Parameter]:
    """The parameters that can be read, by name."""
    broken = {
        int(problem.path.partition("[")[2].partition("]")[0])
        for problem in parameters_problems(specs, "spec.parameters")
        if problem.severity == "error"
    }
    return {spec.name: parse_parameter(spec) for index, spec in enumerate(specs) if index not in broken}


def _condition_problems(
    name: str, condition: ParameterCondition, known: Mapping[str, Parameter], names: list[str]
) -> Iterator[Problem]:
    path = f"{CONDITIONS}.{name}"
    if name not in names:
        yield Problem(path, f"is for {show(name)}, which is no parameter ({listed(names)}){_hint(name, names)}")
    if not condition.parent:
        yield Problem(f"{path}.parent", "is missing; must be the parameter on which it depends")
    elif condition.parent not in names:
        words = f"is {show(condition.parent)}; must be a parameter ({listed(names)}){_hint(condition.parent, names)}"
        yield Problem(f"{path}.parent", words)
    if not condition.values:
        yield Problem(f"{path}.values", "is empty; must list the values of the parent with which it is active")
    parent = known.get(condition.parent)
    if parent is None:
        return
    if parent.points is None:
        words = f"is {show(parent.name)}, whose values cannot be counted; must be an int, discrete or categorical"
        yield Problem(f"{path}.parent", words)
        return
    for index, value in enumerate(condition.values):
        if not has_value(parent, value):
            values = listed(parent.values) if isinstance(parent, Choice) else f"{parent.low} to {parent.high}"
            words = f"is {show(value)}; must be a value of {parent.name} ({values})"
            yield Problem(f"{path}.values[{index}]", words)


def has_value(parameter: Parameter, text: str) -> bool:
    """Whether the parameter can take the value that the text means."""
    if isinstance(parameter, Choice) and not parameter.ordered:
        return text in parameter.values
    try:
        value = number(text)
    except ValueError:
        return False
    if isinstance(parameter, Choice):
        return any(number(item) == value for item in parameter.values)
    on_grid = parameter.step is None or (value - parameter.low) % parameter.step == 0
    return parameter.low <= value <= parameter.high and on_grid


def _cycle_problems(conditions: Mapping[str, ParameterCondition]) -> Iterator[Problem]:
    for name in conditions:
        seen = [name]
        while (parent := conditions[seen[-1]].parent) in conditions and parent not in seen:
            seen.append(parent)
        if parent == name:
            words = f"goes round: {' depends on '.join([*seen, name])}"
            yield Problem(f"{CONDITIONS}.{name}.parent", words)


def _hint(word: str, known: list[str]) -> str:
    meant = nearest(word, known)
    return f": did you mean {meant}?" if meant else ""
