"""Independent categories that follow the natural gradient (CatCMA: Hamano et al., GECCO 2024).

The length of a step adapts to how consistent the gradients are (Akimoto et al., ICML 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from suggestion_services.arrays import Floats, Integers
from suggestion_services.covariance import weights_of

CONSISTENT = 1.5  # α: the squared length of the accumulated gradients that counts as signal


@dataclass(frozen=True)
class Categories:
    """A row of probabilities per dimension, padded with zeros to the largest number of categories."""

    shares: Floats
    counts: Integers
    path: Floats
    signal: float = 0.0
    trust: float = 1.0  # Δ: its inverse is the length of a step

    @classmethod
    def start(cls, counts: Integers) -> Categories:
        """Every category alike."""
        inside = np.arange(counts.max(initial=0)) < counts[:, None]
        return cls(np.where(inside, 1 / counts[:, None], 0.0), counts, np.zeros(int((counts - 1).sum())))

    @cached_property
    def _least(self) -> Floats:
        """The share that no category falls under: some dimension changes in about a quarter of the draws."""
        least: Floats = (1 - 0.73 ** (1 / len(self.counts))) / (self.counts - 1)
        return least

    def sample(self, generator: np.random.Generator) -> Floats:
        """The number of a category per dimension."""
        drawn = generator.random(len(self.counts))
        numbers: Floats = (self.shares.cumsum(axis=1) < drawn[:, None]).sum(axis=1).astype(np.float64)
        return np.minimum(numbers, self.counts - 1)

    def after(self, points: Floats) -> Categories:
        """The shares after a generation; `points` are the best first."""
        if not len(self.counts):
            return self
        weights = weights_of(max(len(self.path), 1), len(points)).all
        weights = np.maximum(weights, 0.0)
        chosen = points[:, :, None] == np.arange(self.shares.shape[1])
        gradient = np.einsum("i,ijk->jk", weights, chosen) - self.shares
        whitened = self._whitened(gradient)
        length = float(np.linalg.norm(whitened))
        if length < 1e-12:
            return self
        rate = 1 / (self.trust * math.sqrt(len(self.path)))
        path = (1 - rate) * self.path + math.sqrt(rate * (2 - rate)) * whitened / length
        signal = (1 - rate) ** 2 * self.signal + rate * (2 - rate)
        trust = self.trust * math.exp(rate * (signal - float(path @ path) / CONSISTENT))
        shares = self._bounded(self.shares + gradient / (self.trust * length))
        return replace(self, shares=shares, path=path, signal=signal, trust=min(max(trust, 1.0), 1e3))

    def _whitened(self, gradient: Floats) -> Floats:
        """The gradient in units of the Fisher information, without the last category, which the others decide."""
        parts = []
        for shares, slope, count in zip(self.shares, gradient, self.counts, strict=True):
            free, last, rise = shares[: count - 1], shares[count - 1], slope[: count - 1]
            parts.append(rise / np.sqrt(free) + np.sqrt(free) / (last + math.sqrt(last)) * rise.sum())
        return np.concatenate(parts)

    def _bounded(self, shares: Floats) -> Floats:
        inside = np.arange(shares.shape[1]) < self.counts[:, None]
        least = np.where(inside, self._least[:, None], 0.0)
        raised = np.where(inside, np.maximum(shares, least), 0.0)
        room = (raised - least).sum(axis=1, keepdims=True)
        excess = 1 - raised.sum(axis=1, keepdims=True)
        bounded: Floats = raised + np.where(room > 0, excess / np.maximum(room, 1e-300), 0.0) * (raised - least)
        return bounded
