"""Stopping what leaves the bounds that a metric may have: training that diverges, memory that runs out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from katib_py.core.early_stopping.lone import LoneStanding, watched
from katib_py.core.early_stopping.settings import flag, integer, metric_name, number
from katib_py.core.early_stopping.stopper import Course, Stop
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule


@dataclass(frozen=True, slots=True)
class ThresholdStop:
    """Stops a trial whose value is below `lower` or above `upper` at `start_step` or later; NaN too where asked for.

    Without a `metric` it is the objective's value that counts.
    """

    lower: float | None = number(None)
    upper: float | None = number(None)
    stop_on_nan: bool = flag(False)
    start_step: int = integer(1, at_least=1)
    metric: str = metric_name()

    def conflicts(self) -> Iterator[str]:
        """Something is asked for, and something is allowed."""
        if self.lower is None and self.upper is None and not self.stop_on_nan:
            yield "ask for nothing; one of lower, upper and stop_on_nan must be given"
        if self.lower is not None and self.upper is not None and self.lower > self.upper:
            yield f"allow no value: lower is {self.lower:g} and upper {self.upper:g}; lower must not exceed upper"

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether the last of the metric's values is out of bounds."""
        return watched(_Watch(self, self._metric(objective)), own)

    def standing(self, objective: ObjectiveSpec) -> LoneStanding:
        """The same on live data."""
        metric = self._metric(objective)
        return LoneStanding(metric, lambda: _Watch(self, metric))

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """The one bound. None for two, since of a trial's rules all must hold.

        Katib compares the objective by its best so far, so that such a rule stops later than the bound does.
        """
        if (self.lower is None) == (self.upper is None):
            return None
        bound, side = (self.upper, "greater") if self.lower is None else (self.lower, "less")
        return Rule(self._metric(objective), repr(bound), side, self.start_step)

    def complaint(self, value: float) -> tuple[float, str] | None:
        """The bound that the value breaks, and how in words."""
        if math.isnan(value):
            return (math.nan, "is not a number") if self.stop_on_nan else None
        if self.lower is not None and value < self.lower:
            return self.lower, f"is below the lower bound, {self.lower:g}"
        if self.upper is not None and value > self.upper:
            return self.upper, f"is above the upper bound, {self.upper:g}"
        return None

    def _metric(self, objective: ObjectiveSpec) -> str:
        return self.metric or objective.objective_metric_name


class _Watch:
    def __init__(self, stopper: ThresholdStop, metric: str) -> None:
        self._stopper = stopper
        self._metric = metric
        self._steps = 0

    def add(self, value: float) -> Stop | None:
        self._steps += 1
        complaint = self._stopper.complaint(value)
        if complaint is None or self._steps < self._stopper.start_step:
            return None
        bound, words = complaint
        return Stop(self._steps, value, bound, f"{self._metric}: {value:g} at step {self._steps} {words}")
