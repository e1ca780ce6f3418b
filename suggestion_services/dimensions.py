"""Parameters as numbers: their texts, coordinates, positions and the unit interval.

A coordinate names a value: the number of the value where they can be counted, else its position. A position in [0, 1]
is where the value lies on its linear or logarithmic scale; a countable value owns the cell halfway to its neighbours.
The unit interval is the position bent so that what is uniform there has the declared distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any

import numpy as np

from katib_py.core.space import Choice, Distribution, Range, decimal_text
from suggestion_services.arrays import Floats

NORMAL = {Distribution.NORMAL, Distribution.LOG_NORMAL}
DEVIATIONS = 3.0  # a normal parameter's bounds lie this many standard deviations from its mean


@dataclass(frozen=True)
class ChoiceDimension:
    """A categorical or discrete parameter: every value equally likely, its coordinate the value's index."""

    parameter: Choice

    @property
    def points(self) -> int:
        """How many values there are."""
        return self.parameter.points

    @property
    def ordered(self) -> bool:
        """Whether neighbours are alike."""
        return self.parameter.ordered

    @property
    def normal(self) -> bool:
        """Whether values near the middle are likelier."""
        return False

    @cached_property
    def _index(self) -> dict[str, float]:
        return {value: float(index) for index, value in enumerate(self.parameter.values)}

    @cached_property
    def _numbers(self) -> dict[float, float]:
        if not self.ordered:
            return {}
        return {float(value): float(index) for index, value in enumerate(self.parameter.values)}

    def read(self, text: str) -> float:
        """The coordinate of a trial's value; NaN where the parameter has no such value."""
        index = self._index.get(text)
        if index is not None:
            return index
        try:
            return self._numbers.get(float(text), math.nan)
        except ValueError:
            return math.nan

    def coordinates(self, read: Floats) -> Floats:
        """What was read, as it is."""
        return read

    def text(self, coordinate: float) -> str:
        """The value as it was written in the Experiment."""
        return self.parameter.value_at(int(coordinate))

    def from_unit(self, unit: Floats) -> Floats:
        """Coordinates of points of the unit interval."""
        return np.minimum(np.floor(unit * self.points), self.points - 1)

    def to_unit(self, coordinates: Floats) -> Floats:
        """The middle of each value's cell."""
        return (coordinates + 0.5) / self.points

    positions = to_unit
    at_positions = from_unit

    def values(self, coordinates: Floats) -> Any:
        """The values as numbers where they are ordered, else as text."""
        kind = np.float64 if self.ordered else object
        listed = [float(value) if self.ordered else value for value in self.parameter.values]
        return np.array(listed, dtype=kind)[coordinates.astype(np.int64)]

    def cells(self, coordinates: Floats) -> tuple[Floats, Floats]:
        """Where on the scale each value's cell begins and ends."""
        return coordinates / self.points, (coordinates + 1) / self.points


@dataclass(frozen=True)
class RangeDimension:
    """An int or double parameter; countable where it has a step."""

    parameter: Range

    @property
    def points(self) -> int | None:
        """How many values there are; None: uncountably many."""
        return self.parameter.points

    @property
    def ordered(self) -> bool:
        """Whether neighbours are alike."""
        return True

    @property
    def normal(self) -> bool:
        """Whether values near the middle are likelier."""
        return self.parameter.distribution in NORMAL

    @property
    def width(self) -> float:
        """How long the scale is: in units of the parameter, or of its logarithm."""
        low, high = self._edges
        return high - low

    @cached_property
    def _low(self) -> float:
        return float(self.parameter.low)

    @cached_property
    def _step(self) -> float:
        return float(self.parameter.step or 1)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """The outermost values; countable ones reach half a step further, so that all cells are alike."""
        low, high = self._low, float(self.parameter.high)
        if self.points is not None:
            beyond = low - self._step / 2
            # A logarithm needs a positive edge; half of the lowest value is the cell of a step that large.
            low = max(beyond, low / 2) if self.parameter.distribution.logarithmic else beyond
            high += self._step / 2
        return low, high

    @cached_property
    def _edges(self) -> tuple[float, float]:
        """The ends of the scale."""
        low, high = self._ends
        return self._scaled(low), self._scaled(high)

    @cached_property
    def _normal(self) -> tuple[float, float]:
        """Mean and deviation on the scale."""
        low, high = self._scaled(self._low), self._scaled(float(self.parameter.high))
        return (low + high) / 2, (high - low) / (2 * DEVIATIONS) or 1.0

    @cached_property
    def _mass(self) -> tuple[float, float]:
        """The normal distribution's mass below each edge."""
        from scipy.special import ndtr

        mean, deviation = self._normal
        low, high = ((edge - mean) / deviation for edge in self._edges)
        return float(ndtr(low)), float(ndtr(high))

    def read(self, text: str) -> float:
        """The number of a trial's value; NaN where it is none."""
        try:
            return float(text)
        except ValueError:
            return math.nan

    def coordinates(self, read: Floats) -> Floats:
        """Coordinates of the nearest values."""
        if self.points is None:
            low, high = self._low, float(self.parameter.high)
            return self._position_of(self._scaled_all(np.clip(read, low, high)))
        return self._nearest(read)

    def text(self, coordinate: float) -> str:
        """Decimal text: exact on the step grid, never outside the range."""
        parameter = self.parameter
        if self.points is not None:
            return parameter.value_at(int(coordinate))
        scaled = self._scale_of(np.asarray(coordinate))
        value = float(np.exp(scaled) if parameter.distribution.logarithmic else scaled)
        return decimal_text(min(max(Decimal(repr(value)), parameter.low), parameter.high))

    def values(self, coordinates: Floats) -> Floats:
        """The values as numbers."""
        if self.points is not None:
            return self._low + coordinates * self._step
        scaled = self._scale_of(coordinates)
        values: Floats = np.exp(scaled) if self.parameter.distribution.logarithmic else scaled
        return np.clip(values, self._low, float(self.parameter.high))

    def from_unit(self, unit: Floats) -> Floats:
        """Coordinates of points of the unit interval."""
        if not self.normal:
            return self.at_positions(unit)
        from scipy.special import ndtri

        (mean, deviation), (low, high) = self._normal, self._mass
        return self._at_scaled(mean + deviation * ndtri(low + unit * (high - low)))

    def to_unit(self, coordinates: Floats) -> Floats:
        """Where the values lie in the unit interval; of a countable one the middle of its cell on the scale."""
        if not self.normal:
            return self.positions(coordinates)
        from scipy.special import ndtr

        (mean, deviation), (low, high) = self._normal, self._mass
        scaled = self._scale_of(self.positions(coordinates))
        unit: Floats = (ndtr((scaled - mean) / deviation) - low) / (high - low)
        return unit

    def positions(self, coordinates: Floats) -> Floats:
        """Where the values lie on the scale, in [0, 1]."""
        if self.points is None:
            return coordinates
        return self._position_of(self._scaled_all(self._low + coordinates * self._step))

    def at_positions(self, positions: Floats) -> Floats:
        """Coordinates of the values that own these positions."""
        return np.clip(positions, 0.0, 1.0) if self.points is None else self._at_scaled(self._scale_of(positions))

    def cells(self, coordinates: Floats) -> tuple[Floats, Floats]:
        """Where on the scale each countable value's cell begins and ends."""
        middle = self._low + coordinates * self._step
        below = np.maximum(middle - self._step / 2, self._ends[0])
        return self._position_of(self._scaled_all(below)), self._position_of(self._scaled_all(middle + self._step / 2))

    def _at_scaled(self, scaled: Floats) -> Floats:
        if self.points is None:
            return self._position_of(scaled)
        return self._nearest(np.exp(scaled) if self.parameter.distribution.logarithmic else scaled)

    def _nearest(self, values: Floats) -> Floats:
        # Adding 0.0 turns -0.0, a row of other bytes, into 0.0.
        return np.clip(np.floor((values - self._low) / self._step + 0.5), 0, (self.points or 1) - 1) + 0.0

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.parameter.distribution.logarithmic else value

    def _scaled_all(self, values: Floats) -> Floats:
        return np.log(values) if self.parameter.distribution.logarithmic else values

    def _scale_of(self, positions: Floats) -> Floats:
        low, high = self._edges
        return low + positions * (high - low)

    def _position_of(self, scaled: Floats) -> Floats:
        low, high = self._edges
        return np.clip((scaled - low) / (high - low), 0.0, 1.0)


Dimension = ChoiceDimension | RangeDimension
