"""Several objectives, and bounds on metrics."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from katib_py.core.errors import Problem, listed, show
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.outcome import OutcomeConstraint
from katib_py.core.parse import nearest

OBJECTIVES: Final = "spec.objectives"
CONSTRAINTS: Final = "spec.outcomeConstraints"
MOST_OBJECTIVES: Final = 8
MOST_CONSTRAINTS: Final = 20


def outcome_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Their metrics are collected, their directions and bounds say something."""
    if spec.objective is None:
        return
    yield from _objectives_problems(spec, spec.objective)
    if len(spec.outcome_constraints) > MOST_CONSTRAINTS:
        yield Problem(CONSTRAINTS, f"has {len(spec.outcome_constraints)} entries; must be at most {MOST_CONSTRAINTS}")
    for index, constraint in enumerate(spec.outcome_constraints):
        path = f"{CONSTRAINTS}[{index}]"
        yield from _metric_problems(constraint.metric_name, f"{path}.metricName", spec.objective)
        yield from _bounds_problems(constraint, path)


def _objectives_problems(spec: ExperimentSpec, objective: ObjectiveSpec) -> Iterator[Problem]:
    if not spec.objectives:
        return
    if not 2 <= len(spec.objectives) <= MOST_OBJECTIVES:
        words = f"has {len(spec.objectives)} entries; must be 2 to {MOST_OBJECTIVES}, the first that of spec.objective"
        yield Problem(OBJECTIVES, words)
    first = spec.objectives[0]
    for field, mine, right in (
        ("type", first.type, objective.type),
        ("objectiveMetricName", first.objective_metric_name, objective.objective_metric_name),
    ):
        if mine and right and mine != right:
            yield Problem(f"{OBJECTIVES}[0].{field}", f"is {show(str(mine))}; must be that of spec.objective, {right}")
    seen: set[str] = set()
    for index, item in enumerate(spec.objectives):
        path = f"{OBJECTIVES}[{index}]"
        if item.type is None:
            yield Problem(f"{path}.type", "is missing; must be minimize or maximize")
        name = item.objective_metric_name
        if name in seen:
            yield Problem(f"{path}.objectiveMetricName", f"is {show(name)}, which stands above already")
        elif index or not name:
            yield from _metric_problems(name, f"{path}.objectiveMetricName", objective)
        seen.add(name)


def _metric_problems(name: str, path: str, objective: ObjectiveSpec) -> Iterator[Problem]:
    """Only metrics that spec.objective names are collected."""
    if not name:
        yield Problem(path, "is missing; must be the name of a metric")
    elif name not in objective.metric_names:
        meant = nearest(name, objective.metric_names)
        hint = f": did you mean {meant}?" if meant else "; add it to spec.objective.additionalMetricNames"
        known = listed(objective.metric_names)
        yield Problem(path, f"is {show(name)}; must be a metric of spec.objective ({known}){hint}")


def _bounds_problems(constraint: OutcomeConstraint, path: str) -> Iterator[Problem]:
    low, high = constraint.at_least, constraint.at_most
    if low is None and high is None:
        yield Problem(path, "has no bound; must have atMost or atLeast, or both")
    for field, bound in (("atMost", high), ("atLeast", low)):
        if bound is not None and not math.isfinite(bound):
            yield Problem(f"{path}.{field}", f"is {bound}; must be a finite number")
    if low is not None and high is not None and low > high:
        yield Problem(f"{path}.atLeast", f"is {low:g}; must not exceed atMost, {high:g}")
