"""Functions of COCO's suites bbob and bbob-noisy (Hansen et al., 2021), with what each point is worth without noise."""

from __future__ import annotations

import os
import tempfile
from importlib import metadata
from typing import Any

import cocoex
import numpy as np

# The noisy function 122 is 17, Schaffer's F7, times the exponential of a normal deviate.
NOISE_FREE = {122: 17}


def version() -> str:
    """Which release evaluates."""
    return f"coco-experiment {metadata.version('coco-experiment')}"


class Evaluator:
    """One function in one dimension, as one instance has it moved and turned."""

    def __init__(self, function: int, dimension: int, instance: int) -> None:
        which, place = f"instances: {instance}", f"dimensions: {dimension}"
        # The suites must outlive their problems.
        self._suites = [cocoex.Suite("bbob", which, place), cocoex.Suite("bbob-noisy", which, place)]
        plain = NOISE_FREE.get(function, function)
        self._true = self._suites[0].get_problem_by_function_dimension_instance(plain, dimension, instance)
        self._seen = None
        if plain != function:
            self._seen = self._suites[1].get_problem_by_function_dimension_instance(function, dimension, instance)
            self._advance(1000 * instance + dimension)
        self.dimension = dimension
        self.least = float(self._true(self._optimum()))

    def _advance(self, evaluations: int) -> None:
        """Noise is one and the same sequence in every problem of COCO; each instance has another part of it."""
        for _ in range(evaluations):
            self._seen(np.zeros(self._seen.dimension))

    def _optimum(self) -> Any:
        """Where the least value is; COCO tells it by a file in the working directory."""
        here = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                self._true._best_parameter("print")
                return np.loadtxt(os.listdir(folder)[0])
            finally:
                os.chdir(here)

    def losses(self, points: list[list[float]]) -> list[tuple[float, float]]:
        """Seen and true values above the least."""
        found = []
        for point in points:
            x = np.array(point, dtype=float)
            true = float(self._true(x))
            seen = true if self._seen is None else float(self._seen(x))
            found.append((seen - self.least, true - self.least))
        return found

    def draw(self, count: int, seed: int) -> list[tuple[float, float]]:
        """The values of random points."""
        points = np.random.default_rng(seed).uniform(-5, 5, (count, self.dimension))
        return self.losses(points.tolist())
