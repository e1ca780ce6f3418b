"""Which trials of an earlier experiment are observations of this one: spec.warmStart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from katib_py.core.errors import listed
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.objective import objective_value
from katib_py.core.space import Choice, Parameter, ParameterCondition, number, parents_first, parse_parameter
from katib_py.core.tally import COMPETING
from katib_py.core.trial import TrialRecord


@dataclass(frozen=True, slots=True)
class Fitting:
    """The trials that fit, with no more than the parameters of this search, and why others do not."""

    trials: tuple[TrialRecord, ...]
    others: int
    reasons: str


def fitting(spec: ExperimentSpec, trials: Iterable[TrialRecord]) -> Fitting:
    """The trials whose values lie in the space of `spec` and that measured its objective."""
    parameters = {parameter.name: parse_parameter(parameter) for parameter in spec.parameters}
    fit: list[TrialRecord] = []
    misfits: Counter[str] = Counter()
    for trial in trials:
        found = _misfit(spec, parameters, trial)
        if isinstance(found, str):
            misfits[found] += 1
        else:
            assignment = replace(trial.assignment, parameters=tuple(found.items()), labels=())
            fit.append(replace(trial, assignment=assignment))
    reasons = listed((f"{count} because {why}" for why, count in misfits.most_common()), 3)
    return Fitting(tuple(fit), misfits.total(), reasons)


def _misfit(spec: ExperimentSpec, parameters: dict[str, Parameter], trial: TrialRecord) -> str | dict[str, str]:
    """Why the trial does not fit, or its values."""
    assert spec.objective is not None
    if trial.state not in COMPETING:
        return f"they are {trial.state.value}"
    if objective_value(spec.objective, trial.observation) is None:
        return f"they did not measure {spec.objective.objective_metric_name}"
    values = dict(trial.assignment.parameters)
    inactive = _inactive(values, spec.parameter_conditions)
    found = {}
    for name, parameter in parameters.items():
        if name in inactive:
            continue
        if name not in values:
            return f"they have no parameter {name}"
        if not _inside(parameter, values[name]):
            return f"their {name} lies outside its feasible space"
        found[name] = values[name]
    return found


def _inactive(values: dict[str, str], conditions: dict[str, ParameterCondition]) -> set[str]:
    inactive: set[str] = set()
    for name in parents_first(conditions):
        condition = conditions[name]
        if condition.parent in inactive or not _among(values.get(condition.parent, ""), condition.values):
            inactive.add(name)
    return inactive


def _among(text: str, values: Iterable[str]) -> bool:
    return any(text == value or (_number(text) is not None and _number(text) == _number(value)) for value in values)


def _inside(parameter: Parameter, text: str) -> bool:
    """Whether the parameter has the value, or for a range one near it: another step is no other space."""
    if isinstance(parameter, Choice):
        return _among(text, parameter.values) if parameter.ordered else text in parameter.values
    value = _number(text)
    return value is not None and float(parameter.low) <= value <= float(parameter.high)


def _number(text: str) -> float | None:
    try:
        return float(number(text))
    except ValueError:
        return None
