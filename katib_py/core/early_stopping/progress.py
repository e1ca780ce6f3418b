"""One trial's values taken in one by one: its steps, its best, and its running average."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable

from katib_py.core.early_stopping.stopper import worst
from katib_py.core.objective import ObjectiveSpec


class Progress:
    """A trial's steps so far, its best, its running average, and what it has left behind in others' comparisons."""

    __slots__ = ("average", "best", "count", "left", "steps", "total")

    def __init__(self, objective: ObjectiveSpec) -> None:
        self.steps = self.count = 0
        self.total = 0.0
        self.best = self.average = worst(objective)
        self.left = array("d")

    def add(self, value: float, objective: ObjectiveSpec) -> None:
        """Take the next value in."""
        self.steps += 1
        if math.isnan(value):
            return
        self.count += 1
        self.total += value
        # Infinities of both signs cancel to NaN, which no order can place.
        self.average = worst(objective) if math.isnan(self.total) else self.total / self.count
        if objective.better(value, self.best):
            self.best = value


def fold(values: Iterable[float], objective: ObjectiveSpec) -> Progress:
    """A trial that has measured these values."""
    progress = Progress(objective)
    for value in values:
        progress.add(value, objective)
    return progress
