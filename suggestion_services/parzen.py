"""Parzen estimators over a search space: one kernel per observed point, and the prior."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from suggestion_services.arrays import Floats, Integers
from suggestion_services.space import ChoiceDimension, Dimension

# A kernel's width is at least this share of the scale once there are many (the "magic clip" of Bergstra et al. 2011).
FINEST = 100.0
TINY = 1e-300


class Kernels:
    """The kernels of one parameter. Points with the same value share a kernel; the last kernel is the prior."""

    def __init__(self, dimension: Dimension, values: Floats, prior_weight: float) -> None:
        self._dimension = dimension
        self._values = values
        count = len(values) + 1
        distinct, inverse = (values, np.arange(len(values))) if dimension.points is None else _grouped(values)
        self.group_of: Integers = np.append(inverse, len(distinct))
        self._distinct = distinct
        if isinstance(dimension, ChoiceDimension) and not dimension.ordered:
            self._table: Floats | None = _choice_table(dimension.points, distinct, prior_weight / count)
        else:
            self._table = None
            self._middles, self._widths = _bandwidths(dimension, distinct, count)
            below = ndtr(-self._middles / self._widths)
            self._below, self._inside = below, ndtr((1 - self._middles) / self._widths) - below

    def sample(self, rows: Integers, generator: np.random.Generator) -> Floats:
        """A value from the kernel of each of these points."""
        groups = self.group_of[rows]
        uniform = generator.random(len(rows))
        if self._table is not None:
            cumulated = np.cumsum(self._table[:, groups], axis=0)
            return np.minimum((uniform * cumulated[-1] >= cumulated).sum(axis=0), self._dimension.points - 1).astype(
                float
            )
        quantile = self._below[groups] + uniform * self._inside[groups]
        return self._dimension.at_positions(self._middles[groups] + self._widths[groups] * ndtri(quantile))

    def log_masses(self, values: Floats) -> Floats:
        """The logarithm of each kernel's mass (or density) at these values, values x kernels."""
        if self._table is not None:
            return np.log(self._table[values.astype(np.int64)])
        if self._dimension.points is None:
            away = (values[:, None] - self._middles) / self._widths
            return -0.5 * away * away - np.log(self._widths * self._inside)
        low, high = self._dimension.cells(values)
        mass = ndtr((high[:, None] - self._middles) / self._widths) - ndtr(
            (low[:, None] - self._middles) / self._widths
        )
        return np.log(np.maximum(mass, TINY) / self._inside)


def _grouped(values: Floats) -> tuple[Floats, Integers]:
    distinct, inverse = np.unique(values, return_inverse=True)
    return distinct, inverse.reshape(-1)


def _choice_table(points: int, distinct: Floats, leak: float) -> Floats:
    """values x kernels: most of a kernel's mass on its own value, the same little on every value."""
    table = np.full((points, len(distinct) + 1), leak)
    table[distinct.astype(np.int64), np.arange(len(distinct))] += 1
    return table / table.sum(axis=0)


def _bandwidths(dimension: Dimension, values: Floats, count: int) -> tuple[Floats, Floats]:
    """Where kernels stand and how wide they are: as wide as the larger gap to a neighbour, within bounds."""
    middles = dimension.positions(values)
    if len(middles) == 0:
        widths = np.empty(0)
    else:
        order = np.argsort(middles, kind="stable")
        gaps = np.diff(middles[order], prepend=0.0, append=1.0)
        if len(middles) > 1:
            gaps[0], gaps[-1] = 0.0, 0.0
        widths = np.empty_like(middles)
        widths[order] = np.maximum(gaps[:-1], gaps[1:])
    widths = np.clip(widths, 1 / min(FINEST, 1.0 + count), 1.0)
    return np.append(middles, 0.5), np.append(widths, 1 / 6 if dimension.normal else 1.0)


class Estimator:
    """The density of a set of points: weighted kernels, the prior last."""

    def __init__(self, dimensions: tuple[Dimension, ...], points: Floats, weights: Floats, prior_weight: float) -> None:
        self.kernels = [
            Kernels(dimension, points[:, place], prior_weight) for place, dimension in enumerate(dimensions)
        ]
        self._weights = np.append(weights, prior_weight)
        self._weights /= self._weights.sum()

    def sample(self, count: int, generator: np.random.Generator) -> Floats:
        """Points, each from one kernel in all its dimensions."""
        rows = self._rows(count, generator)
        return np.stack([kernels.sample(rows, generator) for kernels in self.kernels], axis=1)

    def sample_apart(self, count: int, generator: np.random.Generator) -> Floats:
        """Points, every dimension from a kernel of its own."""
        columns = [kernels.sample(self._rows(count, generator), generator) for kernels in self.kernels]
        return np.stack(columns, axis=1)

    def log_density(self, points: Floats) -> Floats:
        """Of the joint density."""
        total = np.zeros((len(points), len(self._weights)))
        for place, kernels in enumerate(self.kernels):
            total += kernels.log_masses(points[:, place])[:, kernels.group_of]
        return _log_sum(total, self._weights)

    def log_densities(self, points: Floats) -> Floats:
        """Of each dimension alone: points x dimensions."""
        columns = []
        for place, kernels in enumerate(self.kernels):
            weights = np.bincount(kernels.group_of, self._weights)
            columns.append(_log_sum(kernels.log_masses(points[:, place]), weights))
        return np.stack(columns, axis=1)

    def _rows(self, count: int, generator: np.random.Generator) -> Integers:
        return generator.choice(len(self._weights), size=count, p=self._weights)


def _log_sum(logs: Floats, weights: Floats) -> Floats:
    top = logs.max(axis=1, keepdims=True)
    return np.log(np.exp(logs - top) @ weights) + top[:, 0]
