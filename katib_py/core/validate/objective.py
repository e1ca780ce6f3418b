"""The objective, and the algorithms that search and stop."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

from katib_py.core.early_stopping import STOPPERS, parse_stopper
from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.experiment import AlgorithmSpec
from katib_py.core.objective import ObjectiveSpec, Strategy
from katib_py.core.parse import nearest

OBJECTIVE = "spec.objective"


def objective_problems(objective: ObjectiveSpec | None) -> Iterator[Problem]:
    """The direction, the goal, the metrics and their strategies."""
    if objective is None:
        yield Problem(OBJECTIVE, "is missing; it names what to optimise: type and objectiveMetricName")
        return
    if objective.type is None:
        yield Problem(f"{OBJECTIVE}.type", "is missing; must be minimize or maximize")
    if not objective.objective_metric_name:
        yield Problem(f"{OBJECTIVE}.objectiveMetricName", "is missing; must be the name of a metric")
    if objective.goal is not None and not math.isfinite(objective.goal):
        yield Problem(f"{OBJECTIVE}.goal", f"is {objective.goal}; must be a finite number")
    seen = {objective.objective_metric_name}
    for index, name in enumerate(objective.additional_metric_names):
        path = f"{OBJECTIVE}.additionalMetricNames[{index}]"
        if not name:
            yield Problem(path, "is empty; must be the name of a metric")
        elif name == objective.objective_metric_name:
            yield Problem(path, f"is {show(name)}, the objective metric; name only further metrics here")
        elif name in seen:
            yield Problem(path, f"is {show(name)}, which stands above already", "warning")
        seen.add(name)
    yield from _strategy_problems(objective)


def _strategy_problems(objective: ObjectiveSpec) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, entry in enumerate(objective.metric_strategies):
        path = f"{OBJECTIVE}.metricStrategies[{index}]"
        if entry.value is None:
            yield Problem(f"{path}.value", f"is missing; must be one of {', '.join(item.value for item in Strategy)}")
        if entry.name in seen:
            yield Problem(f"{path}.name", f"is {show(entry.name)}, which has a strategy above already")
        elif entry.name not in objective.metric_names:
            known = listed(objective.metric_names)
            yield Problem(
                f"{path}.name", f"is {show(entry.name)}, none of the objective's metrics ({known})", "warning"
            )
        seen.add(entry.name)


def algorithm_problems(algorithm: AlgorithmSpec | None, known: Collection[str] | None) -> Iterator[Problem]:
    """The search algorithm's name and the form of its settings; their meaning is the algorithm's own to check."""
    path = "spec.algorithm"
    if algorithm is None:
        yield Problem(path, "is missing; a search of architectures needs an algorithmName")
        return
    yield from _name_problems(algorithm, path, known)
    yield from _setting_problems(algorithm, path)


def early_stopping_problems(
    early_stopping: AlgorithmSpec | None, objective: ObjectiveSpec | None, known: Collection[str] | None
) -> Iterator[Problem]:
    """The early stopping algorithm's name and settings."""
    if early_stopping is None:
        return
    path = "spec.earlyStopping"
    if early_stopping.algorithm_name in STOPPERS:
        try:
            parse_stopper(early_stopping, path, objective)
        except InvalidInput as error:
            yield from error.problems
        return
    yield from _name_problems(early_stopping, path, known)
    yield from _setting_problems(early_stopping, path)


def _name_problems(algorithm: AlgorithmSpec, path: str, known: Collection[str] | None) -> Iterator[Problem]:
    name = algorithm.algorithm_name
    if not name:
        yield Problem(f"{path}.algorithmName", "is missing; must be the name of an algorithm")
    elif known is not None and name not in known:
        meant = nearest(name, sorted(known))
        hint = f": did you mean {meant}?" if meant else ""
        yield Problem(f"{path}.algorithmName", f"is {show(name)}; must be one of {listed(sorted(known), 30)}{hint}")


def _setting_problems(algorithm: AlgorithmSpec, path: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, setting in enumerate(algorithm.algorithm_settings):
        where = f"{path}.algorithmSettings[{index}].name"
        if not setting.name:
            yield Problem(where, "is missing; must be the name of a setting")
        elif setting.name in seen:
            yield Problem(where, f"is {show(setting.name)}, which is set above already; the last one counts", "warning")
        seen.add(setting.name)
