"""What makes a point worth trying: functions of a model's mean and deviation there, to be maximised."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
from scipy.special import erfcx, log_ndtr

from suggestion_services.arrays import Floats

HALF_LOG_TAU: Final = 0.5 * math.log(2 * math.pi)
ROOT_HALF_PI: Final = math.sqrt(math.pi / 2)
# Beyond these, in deviations, the logarithm of the improvement is its asymptote.
FAR_BELOW: Final = -1e4
FAR_ABOVE: Final = 10.0


class Worth(NamedTuple):
    """A value, and its derivatives by mean and deviation."""

    value: Floats
    by_mean: Floats
    by_deviation: Floats


class Acquisition(Protocol):
    """What a point is worth whose loss has this mean and deviation."""

    def __call__(self, mean: Floats, deviation: Floats) -> Worth:
        """Element by element."""


@dataclass(frozen=True)
class ExpectedImprovement:
    """The logarithm of the expected improvement on `best` (Jones et al. 1998; Ament et al., NeurIPS 2023)."""

    best: float

    def __call__(self, mean: Floats, deviation: Floats) -> Worth:
        """Exact, and with a slope, also where hardly any improvement is expected."""
        z = np.maximum((self.best - mean) / deviation, -1e150)
        mills = ROOT_HALF_PI * erfcx(-np.minimum(z, FAR_ABOVE) / math.sqrt(2))  # Φ / φ
        # (zΦ + φ) / φ, whose two terms all but cancel far below.
        ratio = np.where(z < FAR_BELOW, 1 / np.maximum(z**2, 1), np.maximum(1 + z * mills, 1e-300))
        log_improvement = np.where(
            z > FAR_ABOVE, np.log(np.maximum(z, 1)), np.log(ratio) - 0.5 * np.minimum(z**2, 1e300) - HALF_LOG_TAU
        )
        slope = np.where(z > FAR_ABOVE, 1 / np.maximum(z, 1), np.where(z < FAR_BELOW, -z, mills / ratio))
        return Worth(log_improvement + np.log(deviation), -slope / deviation, (1 - z * slope) / deviation)


@dataclass(frozen=True)
class ProbabilityOfImprovement:
    """The logarithm of the probability of a loss below `best` (Kushner 1964)."""

    best: float

    def __call__(self, mean: Floats, deviation: Floats) -> Worth:
        """Of a normal distribution."""
        z = np.maximum((self.best - mean) / deviation, -1e150)
        slope = 1 / (ROOT_HALF_PI * np.minimum(erfcx(-z / math.sqrt(2)), 1e300))
        return Worth(log_ndtr(z), -slope / deviation, -z * slope / deviation)


@dataclass(frozen=True)
class LowerConfidenceBound:
    """How low a loss may well be: its mean less so many deviations, negated (Srinivas et al., ICML 2010)."""

    deviations: float

    def __call__(self, mean: Floats, deviation: Floats) -> Worth:
        """Linear in both."""
        return Worth(self.deviations * deviation - mean, np.full_like(mean, -1.0), np.full_like(mean, self.deviations))
