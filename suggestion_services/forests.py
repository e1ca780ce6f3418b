"""Trees as models of the loss: random forests, extremely randomised ones, boosted quantiles (by scikit-learn)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from suggestion_services.arrays import Floats

TREES: Final = 50
STAGES: Final = 40
SMALLEST_LEAF: Final = 2
LEAST_DEVIATION: Final = 0.01
# A normal distribution's quantiles one deviation from its middle.
QUANTILES: Final = (0.16, 0.5, 0.84)


@dataclass(frozen=True)
class Forest:
    """A fitted ensemble; `kind` is RF, ET or GBRT."""

    kind: str
    rows: Floats
    values: Floats
    parts: tuple[Any, ...]

    @classmethod
    def fitted(cls, kind: str, rows: Floats, values: Floats) -> Forest:
        """Grown on these values, always the same for the same."""
        return cls(kind, rows, values, _grown(kind, rows, values))

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation: of the trees' answers, or from the quantiles."""
        answers = np.array([part.predict(rows) for part in self.parts])
        if self.kind == "GBRT":
            return answers[1], np.maximum((answers[2] - answers[0]) / 2, LEAST_DEVIATION)
        return answers.mean(axis=0), np.maximum(answers.std(axis=0), LEAST_DEVIATION)

    def with_pending(self, row: Floats) -> Forest:
        """Grown anew as if this row had been measured as middling: a constant liar (Ginsbourger et al. 2010)."""
        return Forest.fitted(self.kind, np.concatenate((self.rows, row[None])), np.append(self.values, 0.0))


def _grown(kind: str, rows: Floats, values: Floats) -> tuple[Any, ...]:
    # Only these models need scikit-learn, and it is slow to import.
    from sklearn import ensemble

    if kind == "GBRT":
        return tuple(
            ensemble.GradientBoostingRegressor(
                loss="quantile", alpha=quantile, n_estimators=STAGES, min_samples_leaf=SMALLEST_LEAF, random_state=0
            ).fit(rows, values)
            for quantile in QUANTILES
        )
    grower = ensemble.RandomForestRegressor if kind == "RF" else ensemble.ExtraTreesRegressor
    forest = grower(TREES, min_samples_leaf=SMALLEST_LEAF, random_state=0).fit(rows, values)
    return tuple(forest.estimators_)
