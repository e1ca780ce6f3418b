"""Many small networks trained at once: one hidden layer, mini-batches, momentum; those of a shape together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Split(NamedTuple):
    """Rows to train on and rows to validate on; the targets are one-hot."""

    x: Floats
    y: Floats
    x_valid: Floats
    y_valid: Floats


@dataclass(frozen=True)
class Shape:
    """What networks that are trained together share."""

    units: int
    batch_size: int
    activation: str = "relu"


class Rates(NamedTuple):
    """What they differ in, an entry for each."""

    learning_rate: Floats
    momentum: Floats
    l2: Floats


def brier_curves(data: Split, shape: Shape, rates: Rates, epochs: int, seed: int = 0) -> Iterator[NDArray[np.float64]]:
    """After every epoch the quadratic loss of each network's probabilities on the validation rows (Brier, 1950)."""
    generator = np.random.default_rng((seed, shape.units, shape.batch_size))
    weights = [np.repeat(part, len(rates.l2), axis=0) for part in _initial(data, shape.units, generator)]
    speeds = [np.zeros_like(part) for part in weights]
    rate, momentum, l2 = (np.asarray(part, dtype=np.float32)[:, None, None] for part in rates)
    with np.errstate(all="ignore"):  # what diverges is given the loss of a wrong certainty
        for _ in range(epochs):
            order = generator.permutation(len(data.x))
            for start in range(0, len(order), shape.batch_size):
                rows = order[start : start + shape.batch_size]
                slopes = _slopes(weights, data.x[rows], data.y[rows], shape.activation)
                for index, slope in enumerate(slopes):
                    if weights[index].shape[1] > 1:  # biases are not decayed
                        slope += l2 * weights[index]  # noqa: PLW2901 - in place
                    speeds[index] *= momentum
                    speeds[index] -= rate * slope
                    weights[index] += speeds[index]
            yield _brier(weights, data, shape.activation)


def _initial(data: Split, units: int, generator: np.random.Generator) -> list[Floats]:
    """He's initialisation (2015), the same for all."""
    inputs, classes = data.x.shape[1], data.y.shape[1]
    first = generator.normal(0, np.sqrt(2 / inputs), (1, inputs, units))
    second = generator.normal(0, np.sqrt(2 / units), (1, units, classes))
    parts = (first, np.zeros((1, 1, units)), second, np.zeros((1, 1, classes)))
    return [part.astype(np.float32) for part in parts]


def _forward(weights: list[Floats], x: Floats, activation: str) -> tuple[Floats, Floats]:
    first, first_bias, second, second_bias = weights
    hidden = np.matmul(x, first)
    hidden += first_bias
    hidden = np.maximum(hidden, 0, out=hidden) if activation == "relu" else np.tanh(hidden, out=hidden)
    scores = np.matmul(hidden, second) + second_bias
    scores -= scores.max(axis=2, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=2, keepdims=True)
    return hidden, scores


def _slopes(weights: list[Floats], x: Floats, y: Floats, activation: str) -> list[Floats]:
    """The gradient of the mean cross entropy."""
    hidden, error = _forward(weights, x, activation)
    error -= y
    error /= len(x)
    back = np.matmul(error, weights[2].transpose(0, 2, 1))
    back *= (hidden > 0) if activation == "relu" else 1 - hidden**2
    return [
        np.matmul(x.T, back),
        back.sum(axis=1, keepdims=True),
        np.matmul(hidden.transpose(0, 2, 1), error),
        error.sum(axis=1, keepdims=True),
    ]


def _brier(weights: list[Floats], data: Split, activation: str) -> NDArray[np.float64]:
    _, chances = _forward(weights, data.x_valid, activation)
    loss = ((chances - data.y_valid) ** 2).sum(axis=2).mean(axis=1).astype(np.float64)
    return np.where(np.isfinite(loss), loss, 2.0)
