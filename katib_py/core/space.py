"""The search space: its parameters as the user writes them, and as numbers that an algorithm can search."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from pydantic import Field

from katib_py.core.models import Model


class ParameterType(StrEnum):
    """Katib's parameterType."""

    INT = "int"
    DOUBLE = "double"
    DISCRETE = "discrete"
    CATEGORICAL = "categorical"
    UNKNOWN = "unknown"


class Distribution(StrEnum):
    """Katib's feasibleSpace.distribution; normal ones: mean (min+max)/2, deviation (max-min)/6, truncated."""

    UNIFORM = "uniform"
    LOG_UNIFORM = "logUniform"
    NORMAL = "normal"
    LOG_NORMAL = "logNormal"
    UNKNOWN = "unknown"

    @property
    def logarithmic(self) -> bool:
        """Whether the logarithm of the value is what is distributed."""
        return self in {Distribution.LOG_UNIFORM, Distribution.LOG_NORMAL}


class FeasibleSpace(Model):
    """The values that a parameter may take; numbers are decimal text."""

    max: str = Field("", description="The largest value of an int or double, as text.")
    min: str = Field("", description="The smallest value of an int or double, as text.")
    step: str = Field("", description="The distance between values of an int or double, as text.")
    values: tuple[str, ...] = Field((), alias="list", description="The values of a discrete or categorical, as text.")
    distribution: Distribution | None = Field(None, description="How random values are drawn; uniform by default.")


class ParameterSpec(Model):
    """One parameter of the search space, as written."""

    name: str = Field("", description="The name to which trialParameters refer.")
    parameter_type: ParameterType | None = Field(None, description="int, double, discrete or categorical.")
    feasible_space: FeasibleSpace = Field(FeasibleSpace(), description="The values that it may take.")


class ParameterCondition(Model):
    """When a parameter takes part: spec.parameterConditions, by the name of the parameter."""

    parent: str = Field("", description="The int, discrete or categorical parameter on which it depends.")
    values: tuple[str, ...] = Field((), description="The values of the parent with which it is active, as text.")
    default: str = Field("", description="What the trial template gets in its place while it is not active.")


@dataclass(frozen=True, slots=True)
class Range:
    """An int or double parameter: [low, high], on the grid low + k*step where a step is given (always for int).

    `points` is the number of grid points, or None for a continuous range. `high` is the last grid point, which lies
    below the written max when the step does not divide the range.
    """

    name: str
    integer: bool
    low: Decimal
    high: Decimal
    step: Decimal | None
    distribution: Distribution

    @property
    def points(self) -> int | None:
        """How many values there are; None: uncountably many."""
        if self.low == self.high:
            return 1
        return None if self.step is None else int((self.high - self.low) / self.step) + 1

    def value_at(self, index: int) -> str:
        """The grid point number `index` as exact decimal text."""
        step = self.step if self.step is not None else Decimal(0)
        return decimal_text(self.low + index * step)


@dataclass(frozen=True, slots=True)
class Choice:
    """A categorical or discrete parameter. `ordered` ones are numbers, and their `values` are sorted by them."""

    name: str
    ordered: bool
    values: tuple[str, ...]

    @property
    def points(self) -> int:
        """How many values there are."""
        return len(self.values)

    def value_at(self, index: int) -> str:
        """The value number `index`."""
        return self.values[index]


Parameter = Range | Choice


def parse_parameter(spec: ParameterSpec) -> Parameter:
    """The parameter as numbers.

    Raises ValueError for a spec that `katib_py.core.validate` would refuse.
    """
    space = spec.feasible_space
    if spec.parameter_type is ParameterType.CATEGORICAL:
        return Choice(spec.name, False, _distinct(space.values))
    if spec.parameter_type is ParameterType.DISCRETE:
        return Choice(spec.name, True, tuple(sorted(_distinct(space.values), key=float)))
    integer = spec.parameter_type is ParameterType.INT
    low, high = number(space.min), number(space.max)
    step = number(space.step) if space.step else (Decimal(1) if integer else None)
    if step is not None and high > low:
        high = low + (high - low) // step * step
    distribution = space.distribution or Distribution.UNIFORM
    if distribution is Distribution.UNKNOWN:
        distribution = Distribution.UNIFORM
    return Range(spec.name, integer, low, high, step, distribution)


def number(text: str) -> Decimal:
    """Decimal text as an exact number; raises ValueError for anything that is not a finite number."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not value.is_finite() or not math.isfinite(float(value)):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def decimal_text(value: Decimal) -> str:
    """The shortest plain or scientific text of an exact number: 0.3, 20, 1e-05."""
    value = value.normalize()
    exponent = value.adjusted()
    if -5 <= exponent < 16:
        return format(value, "f") if value else "0"
    return format(value, "e")


def parents_first(conditions: Mapping[str, ParameterCondition]) -> Iterator[str]:
    """The parameters with a condition, each after its parent; none that depends on itself."""
    done: set[str] = set()
    for name in conditions:
        chain, at = list[str](), name
        while at in conditions and at not in done:
            chain.append(at)
            done.add(at)
            at = conditions[at].parent
        yield from reversed(chain)


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
