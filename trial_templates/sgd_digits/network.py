"""A network with one hidden layer, trained by stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trial_templates.digits import Digits, Pixels, Split

Array = NDArray[np.float32]
CLASSES = 10


@dataclass(frozen=True, slots=True)
class Activation:
    """A non-linearity, and its derivative as a function of its own output."""

    apply: Callable[[Array], Array]
    slope: Callable[[Array], Array]


ACTIVATIONS = {
    "relu": Activation(lambda x: np.maximum(x, 0), lambda y: (y > 0).astype(np.float32)),
    "tanh": Activation(np.tanh, lambda y: 1 - y * y),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the search may choose."""

    lr: float = 0.1
    momentum: float = 0.5
    batch_size: int = 32
    hidden: int = 32
    activation: str = "relu"
    epochs: int = 10
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Epoch:
    """How good the network is after this many passes over the training pictures, on pictures that it has not seen."""

    number: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Network:
    """The weights, changed in place, and the velocity of each."""

    weights: tuple[Array, Array, Array, Array]
    velocity: tuple[Array, Array, Array, Array]
    activation: Activation

    @classmethod
    def of(cls, inputs: int, settings: Settings, random: np.random.Generator) -> Network:
        """Random weights (He), no bias, at rest."""
        shapes = ((inputs, settings.hidden), (settings.hidden, CLASSES))
        first, second = (random.standard_normal(s, dtype=np.float32) * np.float32((2 / s[0]) ** 0.5) for s in shapes)
        weights = (first, np.zeros(settings.hidden, np.float32), second, np.zeros(CLASSES, np.float32))
        still = tuple(np.zeros_like(part) for part in weights)
        return cls(weights, (still[0], still[1], still[2], still[3]), ACTIVATIONS[settings.activation])

    def layers(self, pixels: Pixels) -> tuple[Array, Array]:
        """The hidden layer's output and the probability of each class."""
        w1, b1, w2, b2 = self.weights
        hidden = self.activation.apply(pixels @ w1 + b1)
        scores = hidden @ w2 + b2
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, odds / odds.sum(axis=1, keepdims=True)

    def step(self, pixels: Pixels, digits: Digits, settings: Settings) -> None:
        """Descend along the gradient of the cross entropy of one batch."""
        hidden, error = self.layers(pixels)
        error[np.arange(len(digits)), digits] -= 1
        error /= len(digits)
        back = (error @ self.weights[2].T) * self.activation.slope(hidden)
        gradients = (pixels.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0))
        for weight, velocity, gradient in zip(self.weights, self.velocity, gradients, strict=True):
            velocity[:] = settings.momentum * velocity - settings.lr * gradient
            weight[:] = weight + velocity


@dataclass(slots=True)
class Training:
    """A network on its way: the epochs that it has had, and the randomness of the next ones."""

    network: Network
    random: np.random.Generator
    epochs: int = 0

    @classmethod
    def begin(cls, inputs: int, settings: Settings) -> Training:
        """Before the first epoch."""
        random = np.random.default_rng(settings.seed)
        return cls(Network.of(inputs, settings, random), random)


def train(split: Split, settings: Settings, training: Training | None = None) -> Iterator[Epoch]:
    """Train to the epochs of the settings, and yield after each; a training that has had them is only judged.

    The same settings give the same epochs on one machine, at a stretch or with a pause.
    """
    training = training or Training.begin(split.train_pixels.shape[1], settings)
    network, random = training.network, training.random
    # A learning rate that is too high makes the loss nan: a result like any other, and no reason for warnings.
    with np.errstate(all="ignore"):
        if training.epochs >= settings.epochs:
            yield _judge(network, split, training.epochs)
        while training.epochs < settings.epochs:
            order = random.permutation(len(split.train_digits))
            for start in range(0, len(order), settings.batch_size):
                batch = order[start : start + settings.batch_size]
                network.step(split.train_pixels[batch], split.train_digits[batch], settings)
            training.epochs += 1
            yield _judge(network, split, training.epochs)


def _judge(network: Network, split: Split, number: int) -> Epoch:
    _, chances = network.layers(split.validation_pixels)
    right = chances[np.arange(len(chances)), split.validation_digits]
    loss = -np.log(np.maximum(right, np.float32(1e-12))).mean()
    return Epoch(number, float(loss), float((chances.argmax(axis=1) == split.validation_digits).mean()))
