"""Points as rows of features, so that the squared distance of two points is a sum over parameters."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from suggestion_services.arrays import Floats, Integers
from suggestion_services.space import Space

# Two unordered values are as far apart as the ends of a scale.
APART: Final = 1 / math.sqrt(2)


class Features:
    """An ordered parameter has a column, its position in [0, 1]; an unordered one has a column for each of its values.

    Parameters of a single value are left out.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        varied = [place for place, dimension in enumerate(space.dimensions) if dimension.points != 1]
        self.columns: dict[int, int] = {}  # of a parameter's place, its first column
        owners: list[int] = []
        for rank, place in enumerate(varied):
            self.columns[place] = len(owners)
            dimension = space.dimensions[place]
            owners += [rank] * (1 if dimension.ordered else dimension.points or 1)
        # The parameter that a column belongs to, counted among those of more than one value.
        self.owners: Integers = np.array(owners, dtype=np.int64)

    def of(self, points: Floats) -> Floats:
        """The points' features, a row each."""
        rows = np.zeros((len(points), len(self.owners)))
        for place, column in self.columns.items():
            dimension = self._space.dimensions[place]
            if dimension.ordered:
                rows[:, column] = dimension.positions(points[:, place])
            else:
                rows[np.arange(len(points)), column + points[:, place].astype(np.int64)] = APART
        return rows
