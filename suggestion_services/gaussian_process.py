"""A Gaussian process: Matérn 5/2, a length scale per parameter, at its posterior mode (Rasmussen & Williams 2006)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import minimize

from suggestion_services.arrays import Floats, Integers

# Priors of the logarithms, mean and deviation. Length scales grow with the root of the dimension, so that a model of
# many parameters is no more wiggly than one of few (Hvarfner et al., ICML 2024).
LENGTH: Final = (-0.7, 1.0)
AMPLITUDE: Final = (0.0, 1.0)
NOISE: Final = (-7.0, 3.0)
MUCH_NOISE: Final = -1.0
LEAST_NOISE: Final = 1e-6
LEAST_VARIANCE: Final = 1e-14
# The mean is unknown: as uncertain as this variance.
MEAN_VARIANCE: Final = 1.0
ITERATIONS: Final = 60
ROOT5: Final = math.sqrt(5)


@dataclass(frozen=True)
class Data:
    """What a process is fitted to: features, values of mean 0 and deviation 1, and what is known of their noise."""

    rows: Floats
    values: Floats
    extra: Floats
    owners: Integers

    def only(self, chosen: Integers) -> Data:
        """Some of the rows."""
        return Data(self.rows[chosen], self.values[chosen], self.extra[chosen], self.owners)

    @property
    def parameters(self) -> int:
        """How many length scales there are."""
        return int(self.owners[-1]) + 1 if len(self.owners) else 0


@dataclass(frozen=True)
class Hyperparameters:
    """Logarithms of the length scales, of the amplitude (a variance) and of the noise's variance."""

    logs: Floats

    @property
    def weights(self) -> Floats:
        """What each parameter's squared distance counts."""
        weights: Floats = np.exp(-2 * self.logs[:-2])
        return weights

    @property
    def amplitude(self) -> float:
        """The variance of the function."""
        return math.exp(self.logs[-2])

    @property
    def noise(self) -> float:
        """The variance of a measurement."""
        return math.exp(self.logs[-1]) + LEAST_NOISE


def prior(parameters: int) -> tuple[Floats, Floats]:
    """Means and deviations of the logarithms."""
    mean = LENGTH[0] + 0.5 * math.log(max(parameters, 1))
    means = np.array([*[mean] * parameters, AMPLITUDE[0], NOISE[0]])
    return means, np.array([*[LENGTH[1]] * parameters, AMPLITUDE[1], NOISE[1]])


def squared_distances(one: Floats, other: Floats) -> Floats:
    """Between all rows of both."""
    distances: Floats = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(distances, 0.0, out=distances)


def matern(squared: Floats) -> tuple[Floats, Floats]:
    """The kernel at squared distances, and its derivative there."""
    root = ROOT5 * np.sqrt(squared)
    decay = np.exp(-root)
    return (1 + root + root**2 / 3) * decay, -5 / 6 * (1 + root) * decay


def loss_and_gradient(logs: Floats, data: Data) -> tuple[float, Floats]:
    """The negative logarithm of the posterior density of the hyperparameters, but for a constant."""
    means, deviations = prior(data.parameters)
    hyper = Hyperparameters(logs)
    scaled = data.rows * np.exp(-logs[:-2])[data.owners]
    kernel, slope = matern(squared_distances(scaled, scaled))
    covariance = hyper.amplitude * kernel + MEAN_VARIANCE
    np.fill_diagonal(covariance, hyper.amplitude + MEAN_VARIANCE + hyper.noise + data.extra)
    factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
    if failed:
        return 1e10, np.zeros_like(logs)
    inverse = lapack.dpotri(factor, lower=1)[0]
    inverse = inverse + np.tril(inverse, -1).T
    weights = inverse @ data.values
    inverse -= np.outer(weights, weights)
    away = (logs - means) / deviations
    loss = 0.5 * data.values @ weights + np.log(np.diag(factor)).sum() + 0.5 * away @ away
    by_distance = inverse * slope
    by_column = by_distance.sum(axis=1) @ scaled**2 - np.einsum("ip,ip->p", scaled, by_distance @ scaled)
    gradient = away / deviations
    gradient[:-2] -= 2 * hyper.amplitude * np.bincount(data.owners, by_column, minlength=data.parameters)
    gradient[-2] += 0.5 * hyper.amplitude * (inverse * kernel).sum()
    gradient[-1] += 0.5 * math.exp(logs[-1]) * np.trace(inverse)
    return float(loss), gradient


def fit(data: Data) -> Hyperparameters:
    """The likelier of the modes found from the prior's mean and from much noise: a wiggle explains anything as well."""
    means, deviations = prior(data.parameters)
    noisy = np.append(means[:-1], MUCH_NOISE)
    bounds = list(zip(means - 5 * deviations, means + 5 * deviations, strict=True))
    found = [
        minimize(loss_and_gradient, start, (data,), "L-BFGS-B", True, bounds=bounds, options={"maxiter": ITERATIONS})
        for start in (means, noisy)
    ]
    return Hyperparameters(min(found, key=lambda result: float(result.fun)).x)


class Process:
    """The posterior of a process at given hyperparameters."""

    def __init__(self, data: Data, hyper: Hyperparameters) -> None:
        self._scale: Floats = np.exp(-hyper.logs[:-2])[data.owners]
        self._amplitude = hyper.amplitude
        self._noise = hyper.noise
        self._rows = data.rows * self._scale
        kernel, _ = matern(squared_distances(self._rows, self._rows))
        covariance = hyper.amplitude * kernel + MEAN_VARIANCE
        np.fill_diagonal(covariance, hyper.amplitude + MEAN_VARIANCE + hyper.noise + data.extra)
        factor, failed = lapack.dpotrf(covariance, lower=1, clean=1)
        if failed:
            raise ArithmeticError("the covariance is not positive definite")
        # v = inverse @ k gives |v|^2, by which a point's variance is less than the prior's.
        self._inverse: Floats = lapack.dtrtri(factor, lower=1)[0]
        self._weights: Floats = self._inverse.T @ (self._inverse @ data.values)

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation of the function at rows of features."""
        kernel, _ = matern(squared_distances(self._rows, rows * self._scale))
        covariance = self._amplitude * kernel + MEAN_VARIANCE
        explained = self._inverse @ covariance
        variance = self._amplitude + MEAN_VARIANCE - np.einsum("ij,ij->j", explained, explained)
        return self._weights @ covariance, np.sqrt(np.maximum(variance, LEAST_VARIANCE))

    def gradients(self, row: Floats) -> tuple[float, float, Floats, Floats]:
        """Mean and deviation at one row, and their gradients."""
        away = row * self._scale - self._rows
        kernel, slope = matern(np.einsum("ij,ij->i", away, away))
        covariance = self._amplitude * kernel + MEAN_VARIANCE
        explained = self._inverse @ covariance
        deviation = math.sqrt(max(self._amplitude + MEAN_VARIANCE - float(explained @ explained), LEAST_VARIANCE))
        away *= (2 * self._amplitude * slope)[:, None]
        by_mean = (self._weights @ away) * self._scale
        by_deviation = -((explained @ self._inverse) @ away) * self._scale / deviation
        return float(self._weights @ covariance), deviation, by_mean, by_deviation

    def with_pending(self, row: Floats) -> Process:
        """The posterior once the function's mean has been measured at this row: the means stay, deviations shrink.

        The kriging believer (Ginsbourger et al. 2010).
        """
        other = object.__new__(Process)
        other.__dict__.update(self.__dict__)
        scaled = row * self._scale
        kernel, _ = matern(squared_distances(self._rows, scaled[None]))
        explained = self._inverse @ (self._amplitude * kernel[:, 0] + MEAN_VARIANCE)
        left = math.sqrt(max(self._amplitude + MEAN_VARIANCE + self._noise - float(explained @ explained), self._noise))
        size = len(self._rows)
        other._inverse = np.zeros((size + 1, size + 1))
        other._inverse[:size, :size] = self._inverse
        other._inverse[size, :size] = -(explained @ self._inverse) / left
        other._inverse[size, size] = 1 / left
        other._rows = np.concatenate((self._rows, scaled[None]))
        other._weights = np.append(self._weights, 0.0)
        return other
