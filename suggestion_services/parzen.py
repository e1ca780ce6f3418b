"""Parzen estimators over a search space: a kernel for every observed point, and one for the prior."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
from scipy.special import ndtr, ndtri

from suggestion_services.arrays import Booleans, Floats, Integers
from suggestion_services.dimensions import ChoiceDimension, Dimension, RangeDimension

# A parameter of more values than MANY is taken for a continuous one, and more points than MANY of it are rounded to a
# fraction of its scale, far below a kernel's width, so that the cost of a suggestion stops growing with them.
MANY: Final = 1000
RESOLUTION: Final = 2048.0
# No kernel of n points is narrower than the larger of 1/FINEST and (2 + n)^-SHARPNESS of the scale.
FINEST: Final = 100.0
SHARPNESS: Final = 1.5
TINY: Final = 1e-300
ROOT: Final = math.sqrt(2 * math.pi)


class Kernels(Protocol):
    """The kernels of one parameter: points with the same value share one; the last is the prior."""

    # The kernel of each point, then the prior's.
    group_of: Integers

    def sample(self, rows: Integers, generator: np.random.Generator) -> Floats:
        """A value from the kernel of each of these points."""

    def log_masses(self, values: Floats) -> Floats:
        """The logarithm of each kernel's mass, or density, at these values: values by kernels."""


class ChoiceKernels:
    """Of unordered values: most of a kernel's mass lies on its own value, the same little on every value."""

    def __init__(self, dimension: ChoiceDimension, values: Floats, prior_weight: float) -> None:
        distinct, inverse = np.unique(values, return_inverse=True)
        self.group_of: Integers = np.append(inverse, len(distinct))
        leak = prior_weight / (len(values) + 1)
        table = np.full((dimension.points, len(distinct) + 1), leak)
        table[distinct.astype(np.int64), np.arange(len(distinct))] += 1
        self._masses: Floats = table / table.sum(axis=0)
        self._cumulated: Floats = np.cumsum(self._masses, axis=0)

    def sample(self, rows: Integers, generator: np.random.Generator) -> Floats:
        """By inversion of the distribution function."""
        below = generator.random(len(rows)) >= self._cumulated[:-1, self.group_of[rows]]
        return np.asarray(below.sum(axis=0), dtype=np.float64)

    def log_masses(self, values: Floats) -> Floats:
        """Of categories."""
        masses: Floats = np.log(self._masses)[values.astype(np.int64)]
        return masses


class NormalKernels:
    """Of ordered values: normal distributions on the parameter's scale, cut off at its ends.

    A countable value has the mass of its cell. A kernel is as wide as the larger gap to its neighbours, narrower where
    points share it, and never narrower than all the points allow.
    """

    def __init__(self, dimension: Dimension, values: Floats) -> None:
        self._dimension = dimension
        self._by_cell = dimension.points is not None and dimension.points <= MANY
        positions = dimension.positions(values)
        if not self._by_cell and len(values) > MANY:
            positions = np.round(positions * RESOLUTION) / RESOLUTION
        distinct, inverse, counts = np.unique(positions, return_inverse=True, return_counts=True)
        self.group_of: Integers = np.append(inverse, len(distinct))
        widths = _gaps(distinct) / counts
        narrowest = 1 / min(FINEST, (2.0 + len(values)) ** SHARPNESS)
        self._middles = np.append(distinct, 0.5)
        self._widths = np.append(np.clip(widths, narrowest, 1.0), _prior_width(dimension))
        self._below: Floats = ndtr(-self._middles / self._widths)
        self._inside: Floats = ndtr((1 - self._middles) / self._widths) - self._below

    def sample(self, rows: Integers, generator: np.random.Generator) -> Floats:
        """By inversion of the distribution function."""
        groups = self.group_of[rows]
        quantiles = self._below[groups] + generator.random(len(rows)) * self._inside[groups]
        return self._dimension.at_positions(self._middles[groups] + self._widths[groups] * ndtri(quantiles))

    def log_masses(self, values: Floats) -> Floats:
        """Of cells; of values beyond counting, densities."""
        if not self._by_cell:
            away = (self._dimension.positions(values)[:, None] - self._middles) / self._widths
            densities: Floats = -0.5 * away * away - np.log(self._widths * self._inside * ROOT)
            return densities
        low, high = (ndtr((edge[:, None] - self._middles) / self._widths) for edge in self._dimension.cells(values))
        masses: Floats = np.log(np.maximum(high - low, TINY) / self._inside)
        return masses


class Estimator:
    """The density of a set of points: their kernels by weight, the prior's beside them."""

    def __init__(
        self, kernels: Sequence[Kernels], weights: Floats, prior_weight: float, active: Booleans | None = None
    ) -> None:
        self._kernels = kernels
        self._weights = np.append(weights, prior_weight)
        self._weights /= self._weights.sum()
        # Which parameters of which points take part; None: all. The prior's always do.
        self._active = None if active is None else np.vstack((active, np.ones(len(kernels), dtype=bool)))

    @property
    def unordered(self) -> list[int]:
        """The places of the parameters whose values have no order."""
        return [place for place, kernels in enumerate(self._kernels) if isinstance(kernels, ChoiceKernels)]

    def sample(self, count: int, generator: np.random.Generator) -> Floats:
        """Points, each from one kernel in all its dimensions."""
        rows = self._rows(count, generator, self._weights)
        return np.stack([kernels.sample(rows, generator) for kernels in self._kernels], axis=1)

    def sample_apart(self, count: int, generator: np.random.Generator) -> Floats:
        """Points, every dimension from a kernel of its own."""
        columns = [
            kernels.sample(self._rows(count, generator, self._weights_at(place)), generator)
            for place, kernels in enumerate(self._kernels)
        ]
        return np.stack(columns, axis=1)

    def log_density(self, points: Floats, active: Booleans | None = None) -> Floats:
        """Of the joint density; parameters that are not active at a point do not count there."""
        total = np.zeros((len(points), len(self._weights)))
        for place, kernels in enumerate(self._kernels):
            masses = kernels.log_masses(points[:, place])
            if active is not None:
                masses[~active[:, place]] = 0.0
            total += masses[:, kernels.group_of]
        return _log_sum(total, self._weights)

    def log_densities(self, points: Floats) -> Floats:
        """Of each dimension alone: points by dimensions."""
        columns = []
        for place, kernels in enumerate(self._kernels):
            weights = np.asarray(np.bincount(kernels.group_of, self._weights_at(place)), dtype=np.float64)
            columns.append(_log_sum(kernels.log_masses(points[:, place]), weights))
        return np.stack(columns, axis=1)

    def _weights_at(self, place: int) -> Floats:
        """The weights of the points that have this parameter."""
        if self._active is None:
            return self._weights
        weights: Floats = self._weights * self._active[:, place]
        weights /= weights.sum()
        return weights

    def _rows(self, count: int, generator: np.random.Generator, weights: Floats) -> Integers:
        return generator.choice(len(weights), size=count, p=weights)


def kernels_of(dimension: Dimension, values: Floats, prior_weight: float, active: Booleans | None = None) -> Kernels:
    """The kernels that suit the parameter; a point that does not have it gets the prior's."""
    if active is not None and not active.all():
        kernels = kernels_of(dimension, values[active], prior_weight)
        groups = np.full(len(values) + 1, kernels.group_of[-1])
        groups[:-1][active] = kernels.group_of[:-1]
        kernels.group_of = groups
        return kernels
    if isinstance(dimension, RangeDimension) or dimension.ordered:
        return NormalKernels(dimension, values)
    return ChoiceKernels(dimension, values, prior_weight)


def _gaps(positions: Floats) -> Floats:
    """The larger gap to a neighbour of each of these ascending positions; one alone has the whole scale."""
    if len(positions) < 2:
        return np.ones(len(positions))
    gaps = np.concatenate(([0.0], np.diff(positions), [0.0]))
    return np.maximum(gaps[:-1], gaps[1:])


def _prior_width(dimension: Dimension) -> float:
    """Nearly even over the scale, or the declared normal distribution."""
    return 1 / 6 if dimension.normal else 1.0


def _log_sum(logs: Floats, weights: Floats) -> Floats:
    top = logs.max(axis=1, keepdims=True)
    total: Floats = np.log(np.exp(logs - top) @ weights) + top[:, 0]
    return total
