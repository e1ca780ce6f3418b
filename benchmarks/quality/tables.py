"""Tuning problems whose every loss was computed beforehand: a grid of configurations, each of them really trained.

Doubles, and ints of a wide range, are searched as they are and meet the nearest level of their axis on its scale, so
that the loss is a function of steps; the other parameters have no values but levels. Nothing is interpolated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.problems import Function, Values, among, within
from katib_py.core.space import ParameterSpec

FOLDER: Final = Path(__file__).parent / "data"
Array = NDArray[np.float64]
CODES: Final = 65535


@dataclass(frozen=True)
class Axis:
    """One parameter with the levels at which the table was computed."""

    name: str
    kind: str
    levels: tuple[str, ...]
    log: bool = False

    def spec(self) -> ParameterSpec:
        """The parameter as an Experiment writes it."""
        if self.kind in {"categorical", "discrete"}:
            return among(self.name, *self.levels, kind=self.kind)
        more = {"distribution": "logUniform"} if self.log else {}
        return within(self.name, self.kind, self.levels[0], self.levels[-1], **more)

    @cached_property
    def _scaled(self) -> Array:
        return np.array([self._scale(float(level)) for level in self.levels])

    def _scale(self, value: float) -> float:
        return math.log(value) if self.log else value

    def index(self, text: str) -> int:
        """The level nearest to a value; raises ValueError where it has to be one of them."""
        if self.kind in {"categorical", "discrete"}:
            return self.levels.index(text)
        return int(np.abs(self._scaled - self._scale(float(text))).argmin())


def between(name: str, low: float, high: float, count: int, log: bool = True) -> Axis:
    """A double with so many levels from its least to its largest value."""
    levels = np.geomspace(low, high, count) if log else np.linspace(low, high, count)
    return Axis(name, "double", tuple(f"{level:.6g}" for level in levels), log)


def counted(name: str, *levels: int, log: bool = True) -> Axis:
    """An int with these levels."""
    return Axis(name, "int", tuple(str(level) for level in levels), log)


def words(name: str, *levels: object, kind: str = "categorical") -> Axis:
    """A categorical or discrete parameter."""
    return Axis(name, kind, tuple(str(level) for level in levels))


SVC: Final = (
    between("C", 1e-3, 1e3, 13),
    between("gamma", 1e-5, 10, 13),
    words("kernel", "rbf", "poly", "sigmoid", "linear"),
    counted("degree", 2, 3, 4, 5, log=False),
    between("coef0", 0, 3, 4, log=False),
    words("class_weight", "none", "balanced"),
)
SVR: Final = (
    between("C", 1e-2, 1e3, 11),
    between("gamma", 1e-5, 10, 13),
    words("kernel", "rbf", "poly", "sigmoid", "linear"),
    counted("degree", 2, 3, log=False),
    between("coef0", 0, 2, 3, log=False),
    between("epsilon", 1e-3, 1, 4),
)
FOREST: Final = (
    counted("trees", 4, 6, 8, 12, 16, 24, 32, 48),
    between("max_features", 0.1, 1, 6),
    counted("min_samples_leaf", 1, 2, 3, 5, 8, 13, 20),
    counted("max_depth", 2, 4, 6, 12),
    between("max_samples", 0.3, 0.9, 3, log=False),
    words("criterion", "first", "second"),
)
BOOSTING: Final = (
    counted("rounds", 1, 2, 4, 8, 12, 16, 24, 32, 48, 64),
    between("learning_rate", 0.01, 1, 9),
    counted("max_depth", 1, 2, 3, 4, log=False),
    between("subsample", 0.4, 1, 4, log=False),
    counted("min_samples_leaf", 1, 4, 16),
    words("max_features", "sqrt", "all"),
)
NEIGHBOURS: Final = (
    counted("neighbours", *range(1, 41)),
    words("metric", "cityblock", "euclidean", "chebyshev", "cosine"),
    between("power", 0, 4, 5, log=False),
    counted("components", 2, 3, 4, 6, 8, 12),
    words("scaling", "none", "standard", "range"),
)
NETWORK: Final = (
    between("learning_rate", 1e-3, 3, 11),
    between("momentum", 0, 0.96, 4, log=False),
    between("l2", 1e-5, 0.3, 5),
    counted("units", 4, 8, 16, 32),
    words("batch_size", 16, 64, kind="discrete"),
    words("activation", "relu", "tanh"),
    counted("epochs", 1, 2, 3, 5, 8, 13, 20),
)
CURVES: Final = (
    between("learning_rate", 1e-4, 3, 10),
    between("momentum", 0, 0.96, 3, log=False),
    between("l2", 1e-6, 0.1, 4),
    counted("units", 4, 8, 16, 32),
    words("batch_size", 16, 64, 256, kind="discrete"),
)
EPOCHS: Final = 81


@dataclass(frozen=True)
class Table:
    """A problem whose losses are looked up."""

    name: str
    axes: tuple[Axis, ...]
    group: str = "tuning"

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """The space as an Experiment writes it."""
        return tuple(axis.spec() for axis in self.axes)

    @property
    def path(self) -> Path:
        """Where the losses are kept."""
        return FOLDER / f"{self.name.replace(' ', '-')}.npz"

    @property
    def shape(self) -> tuple[int, ...]:
        """How many levels each axis has."""
        return tuple(len(axis.levels) for axis in self.axes)

    @cached_property
    def cells(self) -> Array:
        """Every loss, by the levels of the axes; of learning curves by the epoch too."""
        with np.load(self.path) as kept:
            low, high = kept["ends"]
            return np.asarray(low + kept["codes"] * ((high - low) / CODES), dtype=np.float64)

    def keep(self, losses: Array) -> None:
        """Write the losses, rounded to a 65535th of their range."""
        low, high = float(losses.min()), float(losses.max())
        codes = np.round((losses - low) * (CODES / (high - low))).astype(np.uint16)
        FOLDER.mkdir(exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished.npz")
        np.savez_compressed(unfinished, codes=codes, ends=np.array([low, high]))
        unfinished.replace(self.path)

    def at(self, values: Values) -> Array:
        """The cell of a point: a loss, or a learning curve."""
        cell: Array = self.cells[tuple(axis.index(values[axis.name]) for axis in self.axes)]
        return cell

    def instance(self, seed: int) -> int:
        """There is but one."""
        return 0

    def open(self, seed: int) -> Function:
        """Looks losses up."""
        return Function(self.at)

    def configurations(self) -> list[dict[str, str]]:
        """Every combination of levels, the last axis fastest."""
        names: Sequence[str] = [axis.name for axis in self.axes]
        return [dict(zip(names, levels, strict=True)) for levels in product(*(axis.levels for axis in self.axes))]


TUNING: Final = (
    Table("svm breast-cancer", SVC),
    Table("svm diabetes", SVR),
    Table("forest wine", FOREST),
    Table("forest diabetes", FOREST),
    Table("boosting wine", BOOSTING),
    Table("boosting diabetes", BOOSTING),
    Table("mlp breast-cancer", NETWORK),
    Table("mlp digits", NETWORK),
    Table("knn wine", NEIGHBOURS),
    Table("knn digits", NEIGHBOURS),
)
DIGITS_CURVES: Final = Table("curves digits", CURVES, group="curves")
