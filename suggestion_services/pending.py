"""A history that has further trials under way: what another algorithm proposes in the same reply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import NO_LABELS, History, Labels, Marked, Trials
from suggestion_services.history import UsedPoints


@dataclass(frozen=True, slots=True)
class Pending:
    """The `whole` history, and `points` that are no trials yet."""

    whole: History
    points: Floats

    def trials(self) -> Trials:
        """All trials whose values are in the space."""
        return self.whole.trials().with_pending(self.points)

    def labels(self) -> Sequence[Labels]:
        """Of what is no trial yet none."""
        return [*self.whole.labels(), *[NO_LABELS] * len(self.points)]

    def marked(self) -> Sequence[Marked]:
        """Those that are trials."""
        return self.whole.marked()

    def used(self) -> UsedPoints:
        """The points that trials have or will have."""
        used = self.whole.used().points(self.points.shape[1])
        return UsedPoints(set(), np.concatenate((used, self.points)))
