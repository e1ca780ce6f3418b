"""Stopping what is worse than the others were on average (Golovin et al., KDD 2017)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from katib_py.core.early_stopping.comparison import ComparedStanding, decided
from katib_py.core.early_stopping.progress import Progress, fold
from katib_py.core.early_stopping.settings import integer, number
from katib_py.core.early_stopping.stopper import Course, Stop
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule


@dataclass(frozen=True, slots=True)
class MedianStop:
    """Stops a trial whose best is worse than the median of the others' running averages (Golovin et al. 2017).

    The others are those that have not failed and have reached the same step; it acts from `start_step` on, once
    `min_trials_required` trials have succeeded.
    """

    min_trials_required: int = integer(3, at_least=1)
    start_step: int = integer(4, at_least=1)

    @property
    def allowed(self) -> float:
        """The share of the others' averages, from the best on, that a trial must not be worse than."""
        return 0.5

    @property
    def words(self) -> str:
        """What a trial is compared with."""
        return "the median"

    def conflicts(self) -> Iterator[str]:
        """None: every setting goes with every other."""
        return iter(())

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether the trial's best so far is strictly worse than the others' averages at its last step."""
        return decided(self, own, others, objective)

    def standing(self, objective: ObjectiveSpec) -> ComparedStanding:
        """The same on live data."""
        return ComparedStanding(self, objective)

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """A threshold among the succeeded trials' averages over their first `start_step` values."""
        averages = sorted(fold(values[: self.start_step], objective).average for values in finished if values)
        if len(averages) < self.min_trials_required or not math.isfinite(threshold := self._of(averages, objective)):
            return None
        worse = "less" if objective.maximize else "greater"
        return Rule(objective.objective_metric_name, repr(threshold), worse, self.start_step)

    def place(self, step: int) -> int | None:
        """Every step from the first on at which it acts."""
        return step - self.start_step if step >= self.start_step else None

    def left(self, progress: Progress) -> float:
        """The running average."""
        return progress.average

    def compare(
        self, progress: Progress, others: Sequence[float], succeeded: int, objective: ObjectiveSpec
    ) -> Stop | None:
        """Strictly worse than the threshold, or nothing."""
        if not others or succeeded < self.min_trials_required:
            return None
        threshold = self._of(others, objective)
        if not objective.better(threshold, progress.best):
            return None
        words = (
            f"{objective.objective_metric_name}: the best up to step {progress.steps}, {progress.best:g}, is worse "
            f"than {self.words} of {len(others)} other trials' averages, {threshold:g}"
        )
        return Stop(progress.steps, progress.best, threshold, words)

    def _of(self, ordered: Sequence[float], objective: ObjectiveSpec) -> float:
        return _quantile(ordered, 1 - self.allowed if objective.maximize else self.allowed)


@dataclass(frozen=True, slots=True)
class PercentileStop(MedianStop):
    """The same with any percentile, counted from the best: 25 lets the best quarter go on, 50 is the median."""

    percentile: float = number(25.0, "a number above 0 and below 100", lambda value: 0 < value < 100)

    @property
    def allowed(self) -> float:
        """The percentile as a share."""
        return self.percentile / 100

    @property
    def words(self) -> str:
        """The percentile and from where it is counted."""
        return f"percentile {self.percentile:g}, from the best,"


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Interpolated between the two nearest."""
    below, part = divmod(share * (len(ordered) - 1), 1)
    if not part:
        return ordered[int(below)]
    # Each is weighted before they are added: the sum of two large values may overflow.
    return ordered[int(below)] * (1 - part) + ordered[int(below) + 1] * part
