"""Covariance matrix adaptation as values: a distribution, how it is sampled, and what a generation makes of it.

Hansen (The CMA Evolution Strategy: A Tutorial, 2016) with negative weights; countable dimensions keep a margin of
probability on either side of the mean's cell (CMA-ES with Margin: Hamano et al., GECCO 2022).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
from scipy.special import ndtr, ndtri

from suggestion_services.arrays import Floats

RESAMPLED = 100  # draws outside the bounds before one is clipped
SMALLEST_VARIANCE = 1e-20
LARGEST_SIGMA = 1e3


@dataclass(frozen=True)
class Weights:
    """The strategy parameters of a population of `size` in `width` dimensions (Hansen 2016, table 1)."""

    width: int
    size: int

    @cached_property
    def _raw(self) -> Floats:
        ranks: Floats = math.log((self.size + 1) / 2) - np.log(np.arange(1, self.size + 1))
        return ranks

    @cached_property
    def mass(self) -> float:
        """The variance effective number of parents, μ_eff."""
        return _effective(self._raw[self._raw > 0])

    @cached_property
    def rank_one(self) -> float:
        """The learning rate c_1."""
        return 2 / ((self.width + 1.3) ** 2 + self.mass)

    @cached_property
    def rank_mu(self) -> float:
        """The learning rate c_μ."""
        wanted = 2 * (self.mass - 2 + 1 / self.mass) / ((self.width + 2) ** 2 + self.mass)
        return min(1 - self.rank_one - 1e-8, wanted)

    @cached_property
    def all(self) -> Floats:
        """Weights by rank: the positive ones add up to 1, the negative ones keep the covariance definite."""
        raw, positive = self._raw, self._raw > 0
        against = raw[~positive]
        limits = (
            1 + self.rank_one / max(self.rank_mu, 1e-12),
            1 + 2 * _effective(against) / (self.mass + 2),
            (1 - self.rank_one - self.rank_mu) / (self.width * max(self.rank_mu, 1e-12)),
        )
        total = -against.sum() or 1.0
        weights: Floats = np.where(positive, raw / raw[positive].sum(), raw * min(limits) / total)
        return weights

    @cached_property
    def step_rate(self) -> float:
        """c_σ."""
        return (self.mass + 2) / (self.width + self.mass + 5)

    @cached_property
    def damping(self) -> float:
        """d_σ."""
        return 1 + 2 * max(0.0, math.sqrt((self.mass - 1) / (self.width + 1)) - 1) + self.step_rate

    @cached_property
    def path_rate(self) -> float:
        """c_c."""
        return (4 + self.mass / self.width) / (self.width + 4 + 2 * self.mass / self.width)


weights_of = lru_cache(256)(Weights)


def _effective(weights: Floats) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.size and weights.any() else 1.0


@dataclass(frozen=True)
class Gaussian:
    """A normal distribution over the unit cube: x = mean + sigma · stretch · N(0, covariance)."""

    mean: Floats
    sigma: float
    covariance: Floats
    stretch: Floats
    step_path: Floats
    path: Floats
    generation: int = 0

    @classmethod
    def start(cls, mean: Floats, deviations: Floats) -> Gaussian:
        """A distribution that has seen nothing, with these standard deviations."""
        width, sigma = len(mean), float(np.median(deviations))
        covariance = np.diag((deviations / sigma) ** 2)
        return cls(mean, sigma, covariance, np.ones(width), np.zeros(width), np.zeros(width))

    @property
    def width(self) -> int:
        """How many dimensions there are."""
        return len(self.mean)

    @cached_property
    def _axes(self) -> tuple[Floats, Floats]:
        """Eigenvectors as columns, and the square roots of the eigenvalues."""
        values, vectors = np.linalg.eigh(self.covariance)
        return vectors, np.sqrt(np.maximum(values, SMALLEST_VARIANCE))

    @property
    def deviations(self) -> Floats:
        """The standard deviation of each dimension."""
        return self.sigma * self.stretch * np.sqrt(np.maximum(np.diag(self.covariance), SMALLEST_VARIANCE))

    @property
    def condition(self) -> float:
        """The condition number of the covariance."""
        _, lengths = self._axes
        return float((lengths.max() / lengths.min()) ** 2)

    def sample(self, generator: np.random.Generator) -> Floats:
        """A point inside the unit cube."""
        vectors, lengths = self._axes
        for _ in range(RESAMPLED):
            drawn = vectors @ (lengths * generator.standard_normal(self.width))
            point: Floats = self.mean + self.sigma * self.stretch * drawn
            if ((point >= 0) & (point <= 1)).all():
                return point
        return np.clip(point, 0.0, 1.0)

    def after(self, points: Floats) -> Gaussian:
        """The distribution after a generation; `points` are the best first."""
        weights = weights_of(self.width, len(points))
        steps = (points - self.mean) / (self.sigma * self.stretch)
        vectors, lengths = self._axes
        whitened = (steps @ vectors / lengths) @ vectors.T
        parents = weights.all > 0
        mean_step = weights.all[parents] @ steps[parents]
        step_path = _moved(self.step_path, weights.step_rate, weights.mass, weights.all[parents] @ whitened[parents])
        length = float(np.linalg.norm(step_path))
        usual = math.sqrt(self.width) * (1 - 1 / (4 * self.width) + 1 / (21 * self.width**2))
        unbiased = length / math.sqrt(1 - (1 - weights.step_rate) ** (2 * (self.generation + 1)))
        stalled = unbiased >= (1.4 + 2 / (self.width + 1)) * usual
        path = (
            (1 - weights.path_rate) * self.path
            if stalled
            else _moved(self.path, weights.path_rate, weights.mass, mean_step)
        )
        return replace(
            self,
            mean=self.mean + self.sigma * self.stretch * mean_step,
            sigma=min(self.sigma * math.exp(weights.step_rate / weights.damping * (length / usual - 1)), LARGEST_SIGMA),
            covariance=self._covariance(weights, steps, whitened, path, stalled),
            step_path=step_path,
            path=path,
            generation=self.generation + 1,
        )

    def _covariance(self, weights: Weights, steps: Floats, whitened: Floats, path: Floats, stalled: bool) -> Floats:
        # A negative weight pushes no further than the step is long under the present distribution.
        scaled = np.where(weights.all < 0, self.width / np.maximum((whitened**2).sum(axis=1), 1e-12), 1.0) * weights.all
        lost = weights.path_rate * (2 - weights.path_rate) if stalled else 0.0
        kept = 1 + weights.rank_one * (lost - 1) - weights.rank_mu * weights.all.sum()
        learned: Floats = (
            kept * self.covariance
            + weights.rank_one * np.outer(path, path)
            + weights.rank_mu * (steps * scaled[:, None]).T @ steps
        )
        return (learned + learned.T) / 2

    def with_margin(self, low: Floats, high: Floats, least: float) -> Gaussian:
        """At least the probability `least` outside the mean's cell of every countable dimension.

        `low` and `high` are the edges of that cell, NaN for dimensions that are not countable.
        """
        deviations = self.deviations
        with np.errstate(invalid="ignore"):
            below, above = ndtr((low - self.mean) / deviations), ndtr((self.mean - high) / deviations)
        mean, wanted = self.mean.copy(), deviations.copy()
        for place in np.flatnonzero(~np.isnan(low)):
            if low[place] <= 0:
                reach = high[place] + ndtri(min(least, 0.5)) * deviations[place]
                mean[place] = max(mean[place], reach)
            elif high[place] >= 1:
                mean[place] = min(mean[place], low[place] - ndtri(min(least, 0.5)) * deviations[place])
            elif min(below[place], above[place]) < least / 2:
                inside = 1 - below[place] - above[place]
                under, over = _at_least(float(below[place]), float(inside), float(above[place]), least / 2)
                wanted[place] = (high[place] - low[place]) / -(ndtri(under) + ndtri(over))
                mean[place] = low[place] - ndtri(under) * wanted[place]
        return replace(self, mean=mean, stretch=self.stretch * wanted / deviations)


def _moved(path: Floats, rate: float, mass: float, step: Floats) -> Floats:
    moved: Floats = (1 - rate) * path + math.sqrt(rate * (2 - rate) * mass) * step
    return moved


def _at_least(below: float, inside: float, above: float, least: float) -> tuple[float, float]:
    """The probabilities on either side, neither under `least`, taken from the larger ones in proportion."""
    raised = [max(share, least) for share in (below, inside, above)]
    excess = 1 - sum(raised)
    room = sum(share - least for share in raised)
    under, _, over = (share + excess / room * (share - least) if room > 0 else 1 / 3 for share in raised)
    return under, over
