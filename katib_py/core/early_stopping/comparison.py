"""Comparing a trial with the others that have come as far: once over whole series, once on live data."""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import Protocol

from katib_py.core.early_stopping.progress import Progress, fold
from katib_py.core.early_stopping.stopper import Course, Stop, number_of
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import TrialState


class Comparison(Protocol):
    """A stopper that compares at certain places, which every trial passes one after another."""

    def place(self, step: int) -> int | None:
        """The number of the place that lies at this step."""

    def left(self, progress: Progress) -> float:
        """What a trial that is there leaves behind for the others to be compared with."""

    def compare(
        self, progress: Progress, others: Sequence[float], succeeded: int, objective: ObjectiveSpec
    ) -> Stop | None:
        """Whether the trial shall stop; `others` have left these there, sorted, and so many trials have succeeded."""


def decided(
    stopper: Comparison, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec
) -> Stop | None:
    """The decision from whole series; what failed trials measured is void."""
    step = len(own)
    if stopper.place(step) is None:
        return None
    counted = [other for other in others if other.state is not TrialState.FAILED]
    succeeded = sum(other.state is TrialState.SUCCEEDED for other in counted)
    arrived = [fold(other.values[:step], objective) for other in counted if len(other.values) >= step]
    return stopper.compare(fold(own, objective), sorted(map(stopper.left, arrived)), succeeded, objective)


class ComparedStanding:
    """Per place, sorted, what every trial left that has come there: a value costs two searches and an insertion."""

    def __init__(self, stopper: Comparison, objective: ObjectiveSpec) -> None:
        self._stopper = stopper
        self._objective = objective
        self._places: list[array[float]] = []
        self._live: dict[str, Progress] = {}
        self._succeeded = 0

    @property
    def metric(self) -> str:
        """The objective's."""
        return self._objective.objective_metric_name

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
            progress = self._live[trial] = Progress(self._objective)
        progress.add(number, self._objective)
        place = self._stopper.place(progress.steps)
        if place is None:
            return None
        if place == len(self._places):
            self._places.append(array("d"))
        others = self._places[place]  # the trial's own is not among them yet
        stop = self._stopper.compare(progress, others, self._succeeded, self._objective)
        progress.left.append(self._stopper.left(progress))
        insort(others, progress.left[-1])
        return stop.reason if stop else None

    def finished(self, trial: str, state: TrialState) -> None:
        """Keep what the trial left behind, unless it failed."""
        if state is TrialState.FAILED:
            self._withdraw(trial)
        elif state is TrialState.SUCCEEDED:
            self._succeeded += 1
        self._live.pop(trial, None)

    def _withdraw(self, trial: str) -> None:
        progress = self._live.pop(trial, None)
        if progress is not None:
            for values, value in zip(self._places, progress.left, strict=False):
                del values[bisect_left(values, value)]
