"""Which points of a space count: conditions make parameters inactive, constraints rule assignments out.

An inactive parameter has its neutral coordinate, so that equal assignments are equal points, without NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from katib_py.core.constraints import Constraint, parse_constraint
from katib_py.core.space import ParameterCondition, parents_first
from suggestion_services.arrays import Booleans, Floats
from suggestion_services.dimensions import Dimension

MIDDLE: Final = np.array([0.5])


@dataclass(frozen=True, slots=True)
class Link:
    """The parameter at `place` is active while the one at `parent` is, and has one of these coordinates."""

    place: int
    parent: int
    coordinates: Floats


class Region:
    """The conditions, parents before children, and the constraints of a space."""

    def __init__(
        self,
        dimensions: Sequence[Dimension],
        conditions: Mapping[str, ParameterCondition],
        constraints: Sequence[str],
    ) -> None:
        self._dimensions = dimensions
        self._places = {dimension.parameter.name: place for place, dimension in enumerate(dimensions)}
        self._neutral = np.array([dimension.from_unit(MIDDLE)[0] for dimension in dimensions])
        self._links = [self._link(name, conditions[name]) for name in parents_first(conditions)]
        parameters = [dimension.parameter for dimension in dimensions]
        self.constraints: tuple[Constraint, ...] = tuple(parse_constraint(text, parameters) for text in constraints)

    @property
    def conditional(self) -> bool:
        """Whether parameters can be inactive."""
        return bool(self._links)

    def __bool__(self) -> bool:
        return bool(self._links or self.constraints)

    def active(self, points: Floats) -> Booleans:
        """Which parameters of which points take part."""
        active = np.ones(points.shape, dtype=bool)
        for link in self._links:
            chosen = np.isin(points[:, link.parent], link.coordinates)
            active[:, link.place] = active[:, link.parent] & chosen
        return active

    def canonical(self, points: Floats) -> Floats:
        """The points, their inactive parameters at their neutral coordinates."""
        return np.where(self.active(points), points, self._neutral) if self._links else points

    def feasible(self, points: Floats) -> Booleans:
        """Which of these canonical points satisfy every constraint."""
        return self.satisfied(points, self.constraints)

    def satisfied(self, points: Floats, constraints: Sequence[Constraint]) -> Booleans:
        """Which of these canonical points satisfy these constraints."""
        found = np.ones(len(points), dtype=bool)
        if not constraints:
            return found
        names = {name for constraint in constraints for name in constraint.names}
        columns = self._columns(points, names)
        with np.errstate(all="ignore"):
            for constraint in constraints:
                found &= constraint.holds(columns)
        return found

    def _columns(self, points: Floats, names: set[str]) -> dict[str, Any]:
        """The values of parameters, NaN where they are inactive."""
        active = self.active(points)
        columns = {}
        for name in names:
            place = self._places[name]
            column = self._dimensions[place].values(points[:, place])
            column[~active[:, place]] = np.nan
            columns[name] = column
        return columns

    def _link(self, name: str, condition: ParameterCondition) -> Link:
        parent = self._places[condition.parent]
        dimension = self._dimensions[parent]
        read = np.array([dimension.read(value) for value in condition.values])
        return Link(self._places[name], parent, dimension.coordinates(read))
