"""What is searched: a space and a loss, opened for a seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from katib_py.core.space import ParameterSpec

Values = Mapping[str, str]


class Loss(NamedTuple):
    """What an optimiser is told of a point, and what the point is worth; they differ where there is noise."""

    seen: float
    true: float


class Objective(Protocol):
    """A problem as one seed meets it."""

    def losses(self, points: Sequence[Values]) -> list[Loss]:
        """The losses of the points, in their order."""

    def close(self) -> None:
        """Let go of what evaluates."""


class Problem(Protocol):
    """A search space with a loss to be minimised."""

    @property
    def name(self) -> str:
        """What the cells and the table call it."""

    @property
    def group(self) -> str:
        """The problems that one mean is taken over."""

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """The space as an Experiment writes it."""

    def instance(self, seed: int) -> int:
        """Which instance this seed meets; those of one number have one baseline."""

    def open(self, seed: int) -> Objective:
        """Something that evaluates."""


@dataclass(frozen=True)
class Function:
    """An objective without noise or anything to close."""

    loss: Callable[[Values], Any]

    def losses(self, points: Sequence[Values]) -> list[Loss]:
        """The losses of the points, in their order."""
        found = [float(self.loss(point)) for point in points]
        return [Loss(value, value) for value in found]

    def close(self) -> None:
        """Nothing is held."""


def within(name: str, kind: str, low: object, high: object, **more: Any) -> ParameterSpec:
    """An int or double parameter."""
    space = {"min": str(low), "max": str(high), **more}
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})


def among(name: str, *values: object, kind: str = "categorical") -> ParameterSpec:
    """A categorical or discrete parameter."""
    space = {"list": [str(value) for value in values]}
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})
