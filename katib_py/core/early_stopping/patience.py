"""Stopping what does not get better any more (Prechelt 1998, its third class of criteria, by steps)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from katib_py.core.early_stopping.lone import LoneStanding, watched
from katib_py.core.early_stopping.settings import integer, number
from katib_py.core.early_stopping.stopper import Course, Stop, worst
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule


@dataclass(frozen=True, slots=True)
class PatienceStop:
    """Stops a trial that has not improved on its best by more than `min_delta` for `patience` steps.

    A smaller improvement does not move the best, so many small ones in a row count once they add up. NaN is no
    improvement. Nothing is stopped before `start_step`.
    """

    patience: int = integer(10, at_least=1)
    min_delta: float = number(0.0, "a number of 0 or more", lambda value: value >= 0)
    start_step: int = integer(1, at_least=1)

    def conflicts(self) -> Iterator[str]:
        """None: every setting goes with every other."""
        return iter(())

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether the trial's last improvement lies too far back."""
        return watched(_Watch(self, objective), own)

    def standing(self, objective: ObjectiveSpec) -> LoneStanding:
        """The same on live data."""
        return LoneStanding(objective.objective_metric_name, lambda: _Watch(self, objective))

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """None: a fixed rule has no memory."""
        return None


class _Watch:
    """The best that counts and the step at which it was measured; 0 is the start."""

    def __init__(self, stopper: PatienceStop, objective: ObjectiveSpec) -> None:
        self._stopper = stopper
        self._objective = objective
        self._steps = self._improved = 0
        self._best = worst(objective)

    def add(self, value: float) -> Stop | None:
        self._steps += 1
        if self._improves(value):
            self._best, self._improved = value, self._steps
            return None
        idle = self._steps - self._improved
        if idle < self._stopper.patience or self._steps < self._stopper.start_step:
            return None
        return Stop(self._steps, value, self._best, self._words(value, idle))

    def _improves(self, value: float) -> bool:
        if math.isinf(self._best):
            return self._objective.better(value, self._best)
        wanted = self._stopper.min_delta if self._objective.maximize else -self._stopper.min_delta
        return self._objective.better(value, self._best + wanted)

    def _words(self, value: float, idle: int) -> str:
        metric = self._objective.objective_metric_name
        if not self._improved:
            return f"{metric}: none of the first {self._steps} values is a finite number"
        much = f" by more than {self._stopper.min_delta:g}" if self._stopper.min_delta else ""
        return (
            f"{metric}: no value was better{much} than {self._best:g}, measured at step {self._improved}, "
            f"in the {idle} steps since; at step {self._steps} it is {value:g}"
        )
