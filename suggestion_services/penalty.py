"""Outcome constraints for algorithms that know one loss only: what breaks one is worse than whatever breaks none.

A search that goes by ranks loses nothing by it. One that models the loss had better look at `Trials.violations` itself,
and say that it understands them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import History, Labels, Marked, Trials, Used
from suggestion_services.ranking import excess

# How much worse than the worst allowed trial one is that barely breaks a constraint, in spans of the allowed losses.
STEP: Final = 0.1


@dataclass(frozen=True, slots=True)
class Penalised:
    """A history whose losses tell of the outcome constraints."""

    whole: History

    def trials(self) -> Trials:
        """All trials whose values are in the space."""
        trials = self.whole.trials()
        return replace(trials, losses=penalised(trials.losses, excess(trials)))

    def labels(self) -> Sequence[Labels]:
        """What the suggestions of `trials()` were labelled with."""
        return self.whole.labels()

    def marked(self) -> Sequence[Marked]:
        """Every trial."""
        found = self.whole.marked()
        losses = penalised(np.array([item.loss for item in found]), np.array([item.excess for item in found]))
        return [item._replace(loss=loss) for item, loss in zip(found, losses.tolist(), strict=True)]

    def used(self) -> Used:
        """The points that trials have."""
        return self.whole.used()


def penalised(losses: Floats, beyond: Floats) -> Floats:
    """The losses, those of trials that exceed the constraints above all others, the more the further (Deb 2000).

    They stay near the others, so that a model of them is not bent out of shape.
    """
    allowed = losses[(beyond == 0) & np.isfinite(losses)]
    low, high = (allowed.min(), allowed.max()) if len(allowed) else (0.0, 0.0)
    span = (high - low) or 1.0
    # From 0 to 1, and 1 for what did not measure a constrained metric.
    severity = np.where(np.isinf(beyond), 1.0, beyond / (1 + np.where(np.isinf(beyond), 0.0, beyond)))
    worse = high + span * (STEP + severity)
    return np.where((beyond > 0) & ~np.isnan(losses), worse, losses)
