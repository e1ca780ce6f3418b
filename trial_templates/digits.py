"""The digits data set that comes with scikit-learn: 1,797 pictures of 8 x 8 pixels, ten classes."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Digits = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Split:
    """Pictures as rows of 64 values in [0, 1], and which digit each shows."""

    train_pixels: Pixels
    train_digits: Digits
    validation_pixels: Pixels
    validation_digits: Digits


def load() -> tuple[Pixels, Digits]:
    """All pictures and their digits, in the order of `sklearn.datasets.load_digits`.

    Raises ModuleNotFoundError without scikit-learn.
    """
    # Importing scikit-learn takes two seconds of every trial; its file takes five milliseconds.
    package = importlib.util.find_spec("sklearn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the digits come with scikit-learn: pip install 'katib-py[local]'")
    table = np.loadtxt(Path(package.origin).parent / "datasets/data/digits.csv.gz", delimiter=",", dtype=np.uint8)
    return (table[:, :-1] / np.float32(16)).astype(np.float32), table[:, -1].astype(np.int64)


def split(seed: int = 0) -> Split:
    """Three quarters to train on and one quarter to validate on; the same for the same seed."""
    pixels, digits = load()
    order = np.random.default_rng(seed).permutation(len(digits))
    train, validation = order[: len(order) * 3 // 4], order[len(order) * 3 // 4 :]
    return Split(pixels[train], digits[train], pixels[validation], digits[validation])
