"""Normal and categorical distributions over one search space, and its points as what these are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from suggestion_services.arrays import Floats, Integers
from suggestion_services.categories import Categories
from suggestion_services.covariance import Gaussian
from suggestion_services.space import Space


@dataclass(frozen=True)
class Layout:
    """Which dimensions of a space vary: the ordered ones as positions, the others as categories."""

    space: Space

    @cached_property
    def ordered(self) -> Integers:
        """The places of ordered dimensions with more than one value."""
        return self._places(True)

    @cached_property
    def unordered(self) -> Integers:
        """The places of categorical dimensions with more than one value."""
        return self._places(False)

    @cached_property
    def _countable(self) -> list[int]:
        """Which of the ordered dimensions are countable."""
        return [row for row, place in enumerate(self.ordered) if self.space.dimensions[place].points is not None]

    @property
    def width(self) -> int:
        """How many free numbers a distribution has."""
        return len(self.ordered) + int((self.counts - 1).sum())

    @cached_property
    def counts(self) -> Integers:
        """How many values each category dimension has."""
        return np.array([self.space.dimensions[place].points for place in self.unordered], dtype=np.int64)

    def positions(self, points: Floats) -> Floats:
        """Where points of the space lie on the scales of the ordered dimensions."""
        positions: Floats = self.space.positions(points)[:, self.ordered]
        return positions

    def point(self, positions: Floats, categories: Floats) -> Floats:
        """The point of the space with these."""
        point: Floats = self.space.from_unit(np.full((1, len(self.space.dimensions)), 0.5))[0]
        for place, position in zip(self.ordered, positions, strict=True):
            point[place] = self.space.dimensions[place].at_positions(np.array([position]))[0]
        point[self.unordered] = categories
        return point

    def cells(self, positions: Floats) -> tuple[Floats, Floats]:
        """The edges of the cells that own these positions; NaN where a dimension is not countable."""
        low, high = np.full(len(positions), np.nan), np.full(len(positions), np.nan)
        for row in self._countable:
            dimension = self.space.dimensions[self.ordered[row]]
            edges = dimension.cells(dimension.at_positions(positions[row : row + 1]))
            low[row], high[row] = edges[0][0], edges[1][0]
        return low, high

    @property
    def all_continuous(self) -> bool:
        """Whether a position says all about a value."""
        return not self._countable

    def _places(self, ordered: bool) -> Integers:
        varying = [item.ordered == ordered and item.points != 1 for item in self.space.dimensions]
        return np.flatnonzero(varying)


@dataclass(frozen=True)
class Mixed:
    """A normal distribution of the ordered dimensions beside one of the categories."""

    gaussian: Gaussian
    categories: Categories

    @classmethod
    def start(cls, layout: Layout, mean: Floats, deviations: Floats) -> Mixed:
        """One that has seen nothing."""
        return cls(Gaussian.start(mean, deviations), Categories.start(layout.counts))

    def sample(self, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Positions and categories of one point."""
        positions = self.gaussian.sample(generator) if self.gaussian.width else np.empty(0)
        return positions, self.categories.sample(generator)

    def after(self, layout: Layout, positions: Floats, categories: Floats) -> Mixed:
        """The distributions after a generation, the best first."""
        gaussian = self.gaussian
        if gaussian.width:
            gaussian = gaussian.after(positions)
            # The margin of Hamano et al. 2022: in one draw of a generation, some dimension leaves its cell.
            least = 1 / (gaussian.width * len(positions))
            gaussian = gaussian.with_margin(*layout.cells(np.clip(gaussian.mean, 0.0, 1.0)), least)
        return Mixed(gaussian, self.categories.after(categories))


def population(layout: Layout) -> int:
    """The usual size of a generation (Hansen 2016)."""
    return 4 + math.floor(3 * math.log(max(layout.width, 1)))
