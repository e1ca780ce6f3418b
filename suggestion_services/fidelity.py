"""How much a trial spends: the parameter that says so, and the rungs from the least of it to the most.

Amounts are exact: floating point takes 243 for less than the fifth power of 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from katib_py.core.errors import Problem
from katib_py.core.space import Choice, decimal_text
from suggestion_services.arrays import Floats
from suggestion_services.contract import Bounds, random_state, setting, text
from suggestion_services.settings import PATH, nearest
from suggestion_services.space import ChoiceDimension, Dimension, RangeDimension, Space

SETTINGS: Final = f"{PATH}.algorithmSettings"
# A continuous value is proposed with so many digits, so that reading it and writing it again changes nothing: a
# promoted trial has its parent's values to the letter.
DIGITS: Final = Context(prec=12)


@dataclass(frozen=True)
class Ladder:
    """The amounts of the resource at each level, least first: R·eta^-k, ..., R·eta^-1, R."""

    resource: Dimension
    names: tuple[str, ...]
    place: int
    amounts: tuple[Fraction, ...]
    eta: Fraction

    @property
    def top(self) -> int:
        """The level of the full amount: s_max of the papers."""
        return len(self.amounts) - 1

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The resource parameter's value at each level."""
        return tuple(_text(self.resource, amount) for amount in self.amounts)

    @cached_property
    def _levels(self) -> dict[float, int]:
        read = np.array([self.resource.read(value) for value in self.texts])
        found = self.resource.coordinates(read).tolist()
        return {coordinate: level for level, coordinate in enumerate(found) if found.count(coordinate) == 1}

    def level_of(self, point: Floats) -> int | None:
        """The level whose amount the point has; None where it has another, or the range cannot tell them apart."""
        return self._levels.get(float(point[self.place]))

    def sizes(self, base: int) -> list[int]:
        """How many configurations Hyperband evaluates at each level of the bracket that begins at level `base`."""
        steps = self.top - base
        first = math.ceil(Fraction(self.top + 1, steps + 1) * self.eta**steps)
        return [math.floor(first / self.eta**rung) for rung in range(steps + 1)]

    def without(self, point: Floats) -> Floats:
        """The point without its amount: its configuration."""
        return np.delete(point, self.place, axis=-1)

    def values(self, configuration: Sequence[tuple[str, str]], level: int) -> tuple[tuple[str, str], ...]:
        """The configuration as an assignment that spends the amount of this level."""
        values = dict(configuration) | {self.names[self.place]: self.texts[level]}
        return tuple((name, values[name]) for name in self.names if name in values)


@dataclass(frozen=True, slots=True)
class MultiFidelity:
    """The settings of every search that spends more on what does well with little."""

    r_l: float | None = setting(None, "the most of the resource for one trial", Bounds(above=0), ("max_resource",))
    resource_name: str = text("", "the parameter that says how much a trial spends")
    eta: float = setting(3.0, "of how many trials one goes on, with as many times the resource", Bounds(at_least=2))
    r_min: float | None = setting(
        None, "the least of the resource; by default the parameter's min", Bounds(above=0), ("min_resource",)
    )
    suggestion_trial_dir: str = text("", "where the program looks for the checkpoint of its trial")
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> Iterator[Problem]:
        """There must be a resource parameter and another one beside it, and every level must differ from the next."""
        if self.r_l is None:
            yield Problem(SETTINGS, "lacks r_l, the most of the resource that a trial may spend")
        if self.resource_name not in space.names:
            said = f"resource_name is {self.resource_name}; it" if self.resource_name else "lacks resource_name, which"
            known = ", ".join(space.names) + nearest(self.resource_name, space.names)
            yield Problem(SETTINGS, f"{said} must name one of the parameters {known}")
            return
        place = space.names.index(self.resource_name)
        path = f"spec.parameters[{place}]"
        if not space.dimensions[place].ordered:
            yield Problem(f"{path}.parameterType", f"is categorical; {self.resource_name} must be a number to be spent")
        elif len(space.names) == 1:
            yield Problem("spec.parameters", f"has only the resource {self.resource_name}; there is nothing to search")
        elif self.r_l is not None:
            yield from self._level_problems(space)
        yield from self._tie_problems(space)

    def _level_problems(self, space: Space) -> Iterator[Problem]:
        if self.r_min is not None and self.r_l is not None and self.r_min > self.r_l:
            yield Problem(SETTINGS, f"r_min is {self.r_min:g}; it must not exceed r_l, {self.r_l:g}")
            return
        texts = self.ladder(space).texts
        if len(set(texts)) < len(texts):
            amounts = ", ".join(texts)
            words = f"the values of {self.resource_name} would be {amounts}; a larger eta or r_min keeps them apart"
            yield Problem(SETTINGS, words)

    def _tie_problems(self, space: Space) -> Iterator[Problem]:
        """What is spent depends on the rung alone."""
        name = self.resource_name
        tied = [other for other, condition in space.conditions.items() if name in {other, condition.parent}]
        for other in tied:
            words = f"ties {other} and the resource {name}; what is spent depends on nothing, and nothing on it"
            yield Problem(f"spec.parameterConditions.{other}", words)
        for place, constraint in enumerate(space.region.constraints):
            if name in constraint.names:
                yield Problem(
                    f"spec.parameterConstraints[{place}]", f"names the resource {name}; only others can be ruled"
                )

    def ladder(self, space: Space) -> Ladder:
        """The levels of a space without problems."""
        place = space.names.index(self.resource_name)
        resource = space.dimensions[place]
        most, eta = _exact(self.r_l or 1), _exact(self.eta)
        least = _exact(self.r_min) if self.r_min is not None else _least(resource, most)
        count = 0
        while least * eta ** (count + 1) <= most:
            count += 1
        return Ladder(resource, space.names, place, tuple(most / eta**steps for steps in range(count, -1, -1)), eta)


def stable(space: Space, configuration: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The values as they will be written again after they were read."""
    dimensions = dict(zip(space.names, space.dimensions, strict=True))
    return tuple((name, _rounded(dimensions[name], value)) for name, value in configuration)


def _rounded(dimension: Dimension, value: str) -> str:
    if dimension.points is not None or not isinstance(dimension, RangeDimension):
        return value
    low, high = dimension.parameter.low, dimension.parameter.high
    return decimal_text(min(max(DIGITS.create_decimal(value), low), high))


def _exact(number: float) -> Fraction:
    """The number as it was written."""
    return Fraction(repr(float(number)))


def _least(resource: Dimension, most: Fraction) -> Fraction:
    """The parameter's min; where that is no amount below the most, one unit."""
    parameter = resource.parameter
    low = Fraction(parameter.values[0]) if isinstance(parameter, Choice) else Fraction(parameter.low)
    return low if 0 < low <= most else min(Fraction(1), most)


def _text(resource: Dimension, amount: Fraction) -> str:
    """The greatest value of the parameter's kind and step that is not above the amount.

    Its range does not bind: r_l says what is spent, and Katib's examples give the parameter a range of one value.
    """
    if isinstance(resource, ChoiceDimension):
        values = [value for value in resource.parameter.values if Fraction(value) <= amount]
        return values[-1] if values else resource.parameter.values[0]
    step = resource.parameter.step
    if step is None:
        return decimal_text(DIGITS.divide(Decimal(amount.numerator), Decimal(amount.denominator)))
    low = resource.parameter.low
    return decimal_text(low + step * math.floor((amount - Fraction(low)) / Fraction(step)))
