"""Losses as a Gaussian process likes them: near mean 0 and deviation 1, the worse half without its tail."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri

from suggestion_services.arrays import Floats


def tamed(losses: Floats) -> Floats:
    """Finite losses, the better half on their scale, the worse half by rank as the other half of a normal distribution.

    How bad a bad value is tells little about where the best are (Golovin et al., KDD 2017; Song et al. 2024).
    """
    middle = float(np.median(losses))
    better = losses <= middle
    spread = math.sqrt(float(np.mean((losses[better] - middle) ** 2))) if len(losses) else 0.0
    if spread == 0.0:
        spread = float(np.abs(losses - middle).max(initial=0.0)) or 1.0
    # Losses that are alike have one rank, so that a plateau stays flat.
    _, inverse, counts = np.unique(losses, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - counts / 2)[inverse] / len(losses)
    values = np.where(better, (losses - middle) / spread, ndtri(np.clip(rank, 0.5, 1 - 0.25 / max(len(losses), 1))))
    deviation = float(values.std()) or 1.0
    standard: Floats = (values - values.mean()) / deviation
    return standard
