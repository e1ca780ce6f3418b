"""Which running trials are hopeless: pure functions of what the trials have measured so far.

A trial's step s is its s-th value of the objective metric. Values that are NaN count as steps and are left out of
averages and of the best so far; a trial that has measured nothing but NaN stands at the worst possible value.
"""

from __future__ import annotations

import dataclasses
import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import AlgorithmSpec
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule, TrialState


class Stop(NamedTuple):
    """A decision to stop: at which step, on which value, compared with what, and all of it in words."""

    step: int
    value: float
    threshold: float
    reason: str


class Course(NamedTuple):
    """Another trial: its values of the objective in order, and how it is."""

    values: Sequence[float]
    state: TrialState


class Standing(Protocol):
    """Early stopping on live data: how every trial of one experiment stands, kept up one value at a time."""

    def begin(self, trial: str) -> None:
        """The trial begins an attempt: what it measured before is void."""

    def measured(self, trial: str, value: str) -> str | None:
        """The text of the trial's next value of the objective; the reason to stop it, if there is one.

        Text that is no number is passed over.
        """

    def finished(self, trial: str, state: TrialState) -> None:
        """The trial has finished; what a failed one measured is void."""


class Stopper(Protocol):
    """An early stopping algorithm with its settings."""

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether a trial that has just measured the last of its `own` values shall stop."""

    def standing(self, objective: ObjectiveSpec) -> Standing:
        """The same decision on live data, from an experiment without trials on."""

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """The decision as one of Katib's fixed rules, from the values of the succeeded trials."""


def _at_least(low: int, default: int) -> Any:
    return dataclasses.field(default=default, metadata={"at_least": low})


@dataclass(frozen=True, slots=True)
class MedianStop:
    """Stops a trial whose best is worse than the median of the others' running averages (Golovin et al. 2017).

    The others are those that have not failed and have reached the same step; it acts from `start_step` on, once
    `min_trials_required` trials have succeeded.
    """

    min_trials_required: int = _at_least(1, 3)
    start_step: int = _at_least(1, 4)

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether the trial's best so far is strictly worse than the median at its last step."""
        step = len(own)
        counted = [other for other in others if other.state is not TrialState.FAILED]
        succeeded = sum(other.state is TrialState.SUCCEEDED for other in counted)
        if step < self.start_step or succeeded < self.min_trials_required:
            return None
        averages = [_fold(other.values[:step], objective).average for other in counted if len(other.values) >= step]
        return _compare(step, _fold(own, objective).best, sorted(averages), objective)

    def standing(self, objective: ObjectiveSpec) -> MedianStanding:
        """The same on live data: a new value costs two binary searches and one insertion."""
        return MedianStanding(self, objective)

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """The median of the succeeded trials' averages over their first `start_step` values."""
        averages = sorted(_fold(values[: self.start_step], objective).average for values in finished if values)
        if len(averages) < self.min_trials_required or not math.isfinite(threshold := _median(averages)):
            return None
        worse = "less" if objective.maximize else "greater"
        return Rule(objective.objective_metric_name, repr(threshold), worse, self.start_step)


class MedianStanding:
    """Per step, the sorted running averages of every trial that has reached it."""

    def __init__(self, stopper: MedianStop, objective: ObjectiveSpec) -> None:
        self._stopper = stopper
        self._objective = objective
        self._averages: list[array[float]] = []  # from start_step on: nothing earlier is ever compared
        self._live: dict[str, _Progress] = {}
        self._succeeded = 0

    def begin(self, trial: str) -> None:
        """Forget what the trial's earlier attempts measured."""
        self._withdraw(trial)

    def measured(self, trial: str, value: str) -> str | None:
        """Take the next value in; the reason to stop the trial, if there is one."""
        number = number_of(value)
        if number is None:
            return None
        progress = self._live.get(trial)
        if progress is None:
            progress = self._live[trial] = _Progress(self._objective)
        progress.add(number, self._objective)
        index = progress.steps - self._stopper.start_step
        if index < 0:
            return None
        if index == len(self._averages):
            self._averages.append(array("d"))
        others = self._averages[index]  # the trial's own average is not among them yet
        stop = None
        if self._succeeded >= self._stopper.min_trials_required:
            stop = _compare(progress.steps, progress.best, others, self._objective)
        insort(others, progress.average)
        progress.averages.append(progress.average)
        return stop.reason if stop else None

    def finished(self, trial: str, state: TrialState) -> None:
        """Keep what the trial measured, unless it failed."""
        if state is TrialState.FAILED:
            self._withdraw(trial)
        elif state is TrialState.SUCCEEDED:
            self._succeeded += 1
        self._live.pop(trial, None)

    def _withdraw(self, trial: str) -> None:
        progress = self._live.pop(trial, None)
        if progress is not None:
            for averages, value in zip(self._averages, progress.averages, strict=False):
                del averages[bisect_left(averages, value)]


class _Progress:
    """One trial: its steps so far, its best, its running average, and that of every step from start_step on."""

    __slots__ = ("average", "averages", "best", "count", "steps", "total")

    def __init__(self, objective: ObjectiveSpec) -> None:
        self.steps = self.count = 0
        self.total = 0.0
        self.best = self.average = worst(objective)
        self.averages = array("d")

    def add(self, value: float, objective: ObjectiveSpec) -> None:
        """Take the next value in."""
        self.steps += 1
        if math.isnan(value):
            return
        self.count += 1
        self.total += value
        # Infinities of both signs cancel to NaN, which no order can place.
        self.average = worst(objective) if math.isnan(self.total) else self.total / self.count
        if objective.better(value, self.best):
            self.best = value


def _fold(values: Iterable[float], objective: ObjectiveSpec) -> _Progress:
    progress = _Progress(objective)
    for value in values:
        progress.add(value, objective)
    return progress


# Early stopping algorithms by the name that the Experiment writes.
STOPPERS: Final[Mapping[str, type[MedianStop]]] = {"medianstop": MedianStop}


def parse_stopper(spec: AlgorithmSpec, path: str = "spec.earlyStopping") -> Stopper:
    """The stopper that the Experiment's earlyStopping describes; raises InvalidInput with every problem."""
    kind = STOPPERS.get(spec.algorithm_name)
    if kind is None:
        known = ", ".join(STOPPERS)
        raise InvalidInput(
            [Problem(f"{path}.algorithmName", f"is {show(spec.algorithm_name)}; must be one of {known}")]
        )
    problems = list(_setting_problems(kind, spec, path))
    if problems:
        raise InvalidInput(problems)
    return kind(**{name: int(value) for name, value in spec.settings().items()})


def _setting_problems(kind: type[MedianStop], spec: AlgorithmSpec, path: str) -> Iterator[Problem]:
    fields = {field.name: field for field in dataclasses.fields(kind)}
    for index, setting in enumerate(spec.algorithm_settings):
        where = f"{path}.algorithmSettings[{index}]"
        field = fields.get(setting.name)
        if field is None:
            yield Problem(f"{where}.name", f"is {show(setting.name)}; must be one of {', '.join(fields)}")
        elif (number := _integer(setting.value)) is None or number < field.metadata["at_least"]:
            low = field.metadata["at_least"]
            yield Problem(
                f"{where}.value", f"is {show(setting.value)}; {setting.name} must be an integer of {low} or more"
            )


def _compare(step: int, best: float, others: Sequence[float], objective: ObjectiveSpec) -> Stop | None:
    """`others` is sorted. Strictly worse than the median, or nothing."""
    if not others:
        return None
    threshold = _median(others)
    if not objective.better(threshold, best):
        return None
    words = (
        f"{objective.objective_metric_name}: the best up to step {step}, {best:g}, is worse than the median "
        f"of {len(others)} other trials' averages, {threshold:g}"
    )
    return Stop(step, best, threshold, words)


def _median(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    # Halved before they are added: the sum of two large values may overflow.
    return ordered[middle] if len(ordered) % 2 else ordered[middle - 1] / 2 + ordered[middle] / 2


def worst(objective: ObjectiveSpec) -> float:
    """The worst possible value of the objective."""
    return -math.inf if objective.maximize else math.inf


def number_of(text: str) -> float | None:
    """The value, NaN included; None for text that is no number."""
    try:
        return float(text)
    except ValueError:
        return None


def _integer(text: str) -> int | None:
    try:
        return int(text)
    except ValueError:
        return None
