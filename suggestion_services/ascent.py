"""The best points of a mixed space by a score: many draws, then gradients in fine parameters, sweeps in the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from scipy.optimize import minimize

from suggestion_services.arrays import Booleans, Floats, Integers
from suggestion_services.features import Features
from suggestion_services.space import Dimension, Space

DRAWS: Final = 1024
NEIGHBOURS: Final = 512
# Where constraints leave little, neighbours of the leaders are likelier to be allowed than draws.
DRAWN_IN_VAIN: Final = 1 << 16
STARTS: Final = 4
ROUNDS: Final = 2
CLIMB: Final = 40
SWEEPS: Final = 6
# An ordered parameter of more values than this is fine: gradients move it. Of an unordered one so many are compared.
FINE: Final = 8
NEAREST: Final = np.array([-2.0, -1.0, 1.0, 2.0])
# A space of no more points is looked at as a whole.
SMALL: Final = 1024


class Score(Protocol):
    """What is maximised, over rows of features."""

    def values(self, rows: Floats) -> Floats:
        """Of each row."""

    def gradient(self, row: Floats) -> tuple[float, Floats]:
        """Value and gradient at one row."""


@dataclass(frozen=True)
class Ascent:
    """`leaders` are points whose neighbours are compared as well; a point whose bytes are in `taken` is not found."""

    space: Space
    features: Features
    leaders: Floats
    taken: frozenset[bytes]

    def ranked(self, score: Score, generator: np.random.Generator, climb: bool, refine: bool = True) -> Floats:
        """Points that are not taken by their score, the highest first; `climb` follows gradients."""
        points = self._all if self._all is not None else self._drawn(generator)
        values = self.values(score, points)
        order = np.argsort(-values, kind="stable")
        if refine and self._all is None:
            best = Refinement(self, score, points[order[:STARTS]], values[order[:STARTS]])
            best.run(generator, climb)
            points, values = np.concatenate((best.points, points)), np.concatenate((best.values, values))
            order = np.argsort(-values, kind="stable")
        ranked: Floats = points[order[: int(np.isfinite(values).sum())]]
        return ranked

    def values(self, score: Score, points: Floats) -> Floats:
        """Of canonical points; of those that are taken or not allowed minus infinity."""
        values = score.values(self.features.of(points))
        if self.taken:
            values = np.where([point.tobytes() in self.taken for point in points], -np.inf, values)
        return values if self.space.plain else np.where(self.space.feasible(points), values, -np.inf)

    @cached_property
    def _all(self) -> Floats | None:
        size = self.space.size
        if size is None or size > SMALL:
            return None
        width = len(self.space.dimensions)
        return np.array([self.space.point_at(number) for number in range(size)]).reshape(-1, width)

    def _drawn(self, generator: np.random.Generator) -> Floats:
        """From the whole space, and neighbours of the leaders at all scales, some parameters moved and others not."""
        width = len(self.space.dimensions)
        drawn = self._allowed(generator)
        if not len(self.leaders):
            return drawn
        near = self.leaders[generator.integers(len(self.leaders), size=NEIGHBOURS)]
        moved = generator.random((NEIGHBOURS, width)) < generator.choice([1.5 / width, 0.5, 1.0], (NEIGHBOURS, 1))
        steps = 10 ** generator.uniform(-3, -0.5, (NEIGHBOURS, 1)) * generator.standard_normal((NEIGHBOURS, width))
        others = self.space.from_unit(generator.random((NEIGHBOURS, width)))
        for place, dimension in enumerate(self.space.dimensions):
            if dimension.ordered:
                positions = dimension.positions(near[:, place]) + steps[:, place]
                others[:, place] = dimension.at_positions(np.clip(positions, 0.0, 1.0))
        return np.concatenate((drawn, self.space.canonical(np.where(moved, others, near))))

    def _allowed(self, generator: np.random.Generator) -> Floats:
        """Random points, where there are constraints such as satisfy them."""
        width = len(self.space.dimensions)
        if self.space.plain:
            return self.space.from_unit(generator.random((DRAWS, width)))
        found = [np.empty((0, width))]
        for batch in self.space.feasible_draws(generator, DRAWN_IN_VAIN):
            found.append(batch)
            if sum(map(len, found)) >= DRAWS:
                break
        return np.concatenate(found)[:DRAWS]


class Refinement:
    """Some points at once, each moved as long as that raises its score."""

    def __init__(self, ascent: Ascent, score: Score, points: Floats, values: Floats) -> None:
        self.points, self.values = points, values
        self._ascent, self._score = ascent, score
        self._features = ascent.features
        self._dimensions = [(place, ascent.space.dimensions[place]) for place in ascent.features.columns]

    def run(self, generator: np.random.Generator, climb: bool) -> None:
        """Climb and sweep by turns."""
        for _ in range(ROUNDS):
            before = self.values
            if climb:
                self._climb()
            self._sweep(generator)
            if not (self.values > before + 1e-6).any():
                return

    def _climb(self) -> None:
        """Along the gradient of the fine parameters."""
        fine = [(place, dimension) for place, dimension in self._dimensions if _is_fine(dimension)]
        if not fine:
            return
        columns = [self._features.columns[place] for place, _ in fine]
        moved = self.points.copy()
        for number, row in enumerate(self._features.of(self.points)):
            found = self._top(row, columns)
            for (place, dimension), position in zip(fine, found, strict=True):
                moved[number, place] = dimension.at_positions(np.array([position]))[0]
        self._take_better(moved, np.arange(len(moved)))

    def _top(self, row: Floats, columns: list[int]) -> Floats:
        def loss(positions: Floats) -> tuple[float, Floats]:
            row[columns] = positions
            value, gradient = self._score.gradient(row)
            return -value, -gradient[columns]

        bounds = [(0.0, 1.0)] * len(columns)
        found: Floats = minimize(loss, row[columns], (), "L-BFGS-B", True, bounds=bounds, options={"maxiter": CLIMB}).x
        return found

    def _sweep(self, generator: np.random.Generator) -> None:
        """By the best change of a single countable parameter, again and again."""
        for _ in range(SWEEPS):
            changes = list(self._changes(generator))
            if not changes:
                return
            owners = np.concatenate([np.full(len(points), owner) for owner, points in changes])
            if not self._take_better(np.concatenate([points for _, points in changes]), owners).any():
                return

    def _changes(self, generator: np.random.Generator) -> Iterator[tuple[int, Floats]]:
        """Points that differ from one of ours in one countable parameter, with our point's number."""
        for place, dimension in self._dimensions:
            count = dimension.points
            if count is None:
                continue
            values = np.arange(count, dtype=np.float64)
            if count > FINE and not dimension.ordered:
                values = generator.choice(values, FINE, replace=False)
            for owner, point in enumerate(self.points):
                if count > FINE and dimension.ordered:
                    values = np.clip(point[place] + NEAREST, 0.0, count - 1)
                changed = np.repeat(point[None], len(values), axis=0)
                changed[:, place] = values
                yield owner, changed

    def _take_better(self, points: Floats, owners: Integers) -> Booleans:
        """Replace each of our points by the best of its own that scores higher; which ones were."""
        points = self._ascent.space.canonical(points)
        values = self._ascent.values(self._score, points)
        order = np.lexsort((-values, owners))
        firsts = order[np.unique(owners[order], return_index=True)[1]]
        better: Booleans = values[firsts] > self.values + 1e-9
        self.points = np.where(better[:, None], points[firsts], self.points)
        self.values = np.where(better, values[firsts], self.values)
        return better


def _is_fine(dimension: Dimension) -> bool:
    return dimension.ordered and (dimension.points is None or dimension.points > FINE)
