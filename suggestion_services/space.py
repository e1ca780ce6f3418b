"""The search space as numbers: points are rows of coordinates, one for each parameter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import Final

import numpy as np

from katib_py.core.space import Choice, Parameter, ParameterCondition, ParameterSpec, parse_parameter
from suggestion_services.arrays import Booleans, Floats, Integers
from suggestion_services.dimensions import ChoiceDimension, Dimension, RangeDimension
from suggestion_services.region import Region

__all__ = ["ENUMERABLE", "ChoiceDimension", "Dimension", "RangeDimension", "Space"]

# A space of up to this many points is counted out where that helps.
ENUMERABLE: Final = 1 << 20
COUNTED_AT_ONCE: Final = 1 << 16
# Random points are drawn in batches that grow from FEW to MANY; after MOST_DRAWN in vain it is given up.
FEW: Final = 16
MANY: Final = 1 << 14
MOST_DRAWN: Final = 1 << 20
NO_CONDITIONS: Final[Mapping[str, ParameterCondition]] = MappingProxyType({})


class Space:
    """A search space of one or more parameters, with the conditions and constraints that there may be.

    A point is canonical: an inactive parameter has its neutral coordinate. `plain`: there are neither conditions nor
    constraints, so that every row of coordinates is a point that may be proposed.
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        conditions: Mapping[str, ParameterCondition] = NO_CONDITIONS,
        constraints: Sequence[str] = (),
    ) -> None:
        self.dimensions: tuple[Dimension, ...] = tuple(
            ChoiceDimension(item) if isinstance(item, Choice) else RangeDimension(item) for item in parameters
        )
        self.names = tuple(dimension.parameter.name for dimension in self.dimensions)
        self.conditions = dict(conditions)
        self.region = Region(self.dimensions, conditions, constraints)
        self.plain = not self.region
        self._cells = _product(dimension.points for dimension in self.dimensions)
        self._readers = tuple((name, item.read) for name, item in zip(self.names, self.dimensions, strict=True))

    @classmethod
    def of(
        cls,
        specs: Iterable[ParameterSpec],
        conditions: Mapping[str, ParameterCondition] = NO_CONDITIONS,
        constraints: Sequence[str] = (),
    ) -> Space:
        """The space of parameters that katib_py.core.validate accepts."""
        return cls((parse_parameter(spec) for spec in specs), conditions, constraints)

    def without(self, place: int) -> Space:
        """The space of the other parameters, with those conditions and constraints that do not speak of this one."""
        name = self.names[place]
        others = [item.parameter for item in self.dimensions if item.parameter.name != name]
        conditions = {child: item for child, item in self.conditions.items() if name not in {child, item.parent}}
        constraints = [item.text for item in self.region.constraints if name not in item.names]
        return Space(others, conditions, constraints)

    @cached_property
    def size(self) -> int | None:
        """How many points there are; None: uncountably many. At most, where they are too many to be counted out."""
        return self._cells if self._counted is None else len(self._counted)

    @property
    def enumerable(self) -> bool:
        """Whether the points are few enough to be counted out, so that `size` is exact."""
        return self._cells is not None and self._cells <= ENUMERABLE

    def read(self, texts: Mapping[str, str]) -> list[float]:
        """A trial's values as numbers, for `coordinates`; NaN where one is missing or no value of the parameter."""
        return [read(texts[name]) if name in texts else math.nan for name, read in self._readers]

    def coordinates(self, read: Sequence[Sequence[float]]) -> Floats:
        """The points nearest to what was read, a row each."""
        values = np.array(read, dtype=np.float64).reshape(-1, len(self.dimensions))
        return self._by_dimension("coordinates", values)

    def from_unit(self, unit: Floats) -> Floats:
        """Points of the unit cube as points of the space."""
        return self._by_dimension("from_unit", unit)

    def to_unit(self, points: Floats) -> Floats:
        """Points of the space in the unit cube."""
        return self._each("to_unit", points)

    def positions(self, points: Floats) -> Floats:
        """Where the points lie on the scales."""
        return self._each("positions", points)

    def at_positions(self, positions: Floats) -> Floats:
        """The points that own these positions."""
        return self._by_dimension("at_positions", positions)

    def active(self, points: Floats) -> Booleans:
        """Which parameters of which points take part in their assignment."""
        return self.region.active(points)

    def canonical(self, points: Floats) -> Floats:
        """The points with their inactive parameters at their neutral coordinates."""
        return self.region.canonical(points)

    def feasible(self, points: Floats) -> Booleans:
        """Which of these canonical points satisfy every constraint."""
        return self.region.feasible(points)

    def feasible_draws(self, generator: np.random.Generator, most: int = MOST_DRAWN) -> Iterator[Floats]:
        """Batches of random points that satisfy every constraint; the last one after `most` draws without any.

        Where the space is counted out, points that are too rare to be drawn are taken from the count instead.
        """
        batch, missed = FEW, 0
        while missed < most:
            points = self.from_unit(generator.random((batch, len(self.dimensions))))
            found = points[self.feasible(points)]
            missed = 0 if len(found) else missed + batch
            batch = min(2 * batch, MANY)
            if len(found):
                yield found
        while self._counted is not None and len(self._counted):
            yield self._numbered(generator.choice(self._counted, FEW))

    def repaired(self, point: Floats, generator: np.random.Generator) -> Floats:
        """A point near this one that satisfies every constraint; itself where none was found.

        On the way to the nearest of some random points that do: ordered parameters go the way, others jump.
        """
        near = np.array([point for batch in _upto(self.feasible_draws(generator), 64) for point in batch])
        if not len(near):
            return point
        ordered = np.array([dimension.ordered for dimension in self.dimensions])
        begin, ends = self.positions(point[None])[0], self.positions(near)
        apart = np.where(ordered, np.abs(ends - begin), ends != begin)
        end = ends[np.argmin(np.square(apart).sum(axis=1))]
        way = np.linspace(0.0, 1.0, 33)[:, None]
        stops = self.at_positions(np.where(ordered, begin + way * (end - begin), end))
        repaired: Floats = stops[np.argmax(self.feasible(stops))]
        return repaired

    def point_at(self, index: int) -> Floats:
        """The point number `index` of a countable space, counted with the last parameter fastest."""
        number = index if self._counted is None else int(self._counted[index])
        point = np.zeros(len(self.dimensions))
        for place in reversed(range(len(self.dimensions))):
            number, point[place] = divmod(number, self.dimensions[place].points or 1)
        return point

    def numbers_of(self, points: Floats) -> Floats:
        """The inverse of `point_at`, for spaces whose size a float can count; NaN for a point that is none of them."""
        numbers = np.zeros(len(points))
        for place, dimension in enumerate(self.dimensions):
            numbers = numbers * (dimension.points or 1) + points[:, place]
        if self._counted is None:
            return numbers
        places = np.minimum(np.searchsorted(self._counted, numbers), max(len(self._counted) - 1, 0))
        known = np.isin(numbers, self._counted)
        return np.where(known, places, np.nan)

    def texts(self, point: Floats) -> tuple[tuple[str, str], ...]:
        """The point as an assignment: its active parameters, in the order of the Experiment."""
        parts = zip(self.dimensions, point, self.active(point[None])[0], strict=True)
        return tuple((item.parameter.name, item.text(value)) for item, value, active in parts if active)

    @cached_property
    def _counted(self) -> Integers | None:
        """The numbers of the points among the cells of the grid; None where all are, or where there are too many."""
        if self.plain or not self.enumerable:
            return None
        found = []
        assert self._cells is not None
        for begin in range(0, self._cells, COUNTED_AT_ONCE):
            numbers = np.arange(begin, min(begin + COUNTED_AT_ONCE, self._cells))
            points = self._numbered(numbers)
            same = (self.canonical(points) == points).all(axis=1)
            found.append(numbers[same & self.feasible(points)])
        return np.concatenate(found)

    def _numbered(self, numbers: Integers) -> Floats:
        """The cells of the grid with these numbers."""
        points = np.empty((len(numbers), len(self.dimensions)))
        for place in reversed(range(len(self.dimensions))):
            numbers, points[:, place] = np.divmod(numbers, self.dimensions[place].points or 1)
        return points

    def _by_dimension(self, method: str, rows: Floats) -> Floats:
        return self.canonical(self._each(method, rows))

    def _each(self, method: str, rows: Floats) -> Floats:
        result = np.empty_like(rows)
        for place, dimension in enumerate(self.dimensions):
            result[:, place] = getattr(dimension, method)(rows[:, place])
        return result


def _upto(batches: Iterator[Floats], wanted: int) -> Iterator[Floats]:
    """Batches until so many points have come."""
    for batch in batches:
        yield batch[:wanted]
        wanted -= len(batch)
        if wanted <= 0:
            return


def _product(points: Iterable[int | None]) -> int | None:
    counts = list(points)
    return None if None in counts else math.prod(count for count in counts if count is not None)
