"""Search spaces to try a service on, whether an assignment lies in one, and a loss for it."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from katib_py.core.errors import listed, show
from katib_py.core.space import Choice, Parameter, ParameterSpec, Range, number, parse_parameter
from katib_py.wire import api
from katib_py.wire.convert import parameter_specs

# Text of a float may be off the decimal grid by this share of the range.
TOLERANCE: Final = Decimal("1e-9")


def _range(name: str, kind: api.ParameterType, low: str, high: str, step: str = "") -> api.ParameterSpec:
    feasible = api.FeasibleSpace(min=low, max=high, step=step, distribution=api.UNIFORM)
    return api.ParameterSpec(name=name, parameter_type=kind, feasible_space=feasible)


def _choice(name: str, kind: api.ParameterType, *values: str) -> api.ParameterSpec:
    return api.ParameterSpec(name=name, parameter_type=kind, feasible_space=api.FeasibleSpace(list=values))


RATE: Final = _range("rate", api.DOUBLE, "0.01", "0.5")
STEPPED: Final = _range("momentum", api.DOUBLE, "0", "0.9", "0.001")
UNITS: Final = _range("units", api.INT, "8", "128", "4")
DEPTH: Final = _range("depth", api.INT, "1", "30")
KERNEL: Final = _choice("kernel", api.CATEGORICAL, "linear", "poly", "rbf")
BATCH: Final = _choice("batch", api.DISCRETE, "16", "32", "64")

# The first that a service takes is the one it is tried on: grid search needs steps, CMA-ES numbers.
SPACES: Final[Mapping[str, Sequence[api.ParameterSpec]]] = {
    "every type of parameter": (RATE, STEPPED, UNITS, DEPTH, KERNEL, BATCH),
    "countable parameters": (STEPPED, UNITS, KERNEL, BATCH),
    "numbers": (RATE, STEPPED, UNITS, DEPTH),
    "continuous numbers": (RATE, _range("momentum", api.DOUBLE, "0", "0.9")),
    "categorical parameters": (KERNEL, _choice("optimizer", api.CATEGORICAL, *"abcdefgh")),
}


class SearchSpace:
    """The parameters of an experiment's message."""

    def __init__(self, messages: Sequence[api.ParameterSpec]) -> None:
        self._specs: tuple[ParameterSpec, ...] = parameter_specs(messages)
        self._parameters: dict[str, Parameter] = {spec.name: parse_parameter(spec) for spec in self._specs}
        points = [parameter.points for parameter in self._parameters.values()]
        self.size = None if None in points else math.prod(count or 1 for count in points)

    def complaints(self, assignment: Sequence[tuple[str, str]]) -> Iterator[str]:
        """What is wrong with an assignment."""
        names = [name for name, _ in assignment]
        if sorted(names) != sorted(self._parameters):
            yield f"assigns {listed(names) or 'nothing'}; the parameters are {listed(self._parameters)}"
            return
        for name, text in assignment:
            words = _complaint(self._parameters[name], text)
            if words:
                yield f"{name} is {show(text)}, {words}"

    def loss(self, values: Mapping[str, str]) -> float:
        """A smooth bowl over what can be ordered; anything for anything that is no value."""
        return sum((_place(self._parameters.get(name), text) - 0.3) ** 2 for name, text in values.items())

    def corner(self, index: int) -> dict[str, str]:
        """A sound assignment that nobody proposed, another for each index."""
        return {
            spec.name: _value(self._parameters[spec.name], zlib.crc32(f"{spec.name} {index}".encode()) / 2**32)
            for spec in self._specs
        }


def _complaint(parameter: Parameter, text: str) -> str:
    if isinstance(parameter, Choice):
        return "" if text in parameter.values else f"which is none of {listed(parameter.values)}"
    try:
        value = number(text)
    except ValueError:
        return "which is no number"
    slack = TOLERANCE * (parameter.high - parameter.low)
    if not parameter.low - slack <= value <= parameter.high + slack:
        return f"which is not between {parameter.low} and {parameter.high}"
    if parameter.integer and value != value.to_integral_value():
        return "which is no integer"
    if parameter.step is None:
        return ""
    off = (value - parameter.low) % parameter.step
    on_grid = min(off, parameter.step - off) <= slack
    return "" if on_grid else f"which is not {parameter.low} and a multiple of {parameter.step}"


def _place(parameter: Parameter | None, text: str) -> float:
    """Where the value lies in its range."""
    if isinstance(parameter, Choice) and text in parameter.values:
        return parameter.values.index(text) / len(parameter.values)
    try:
        value = float(text)
    except ValueError:
        return 1.0
    if isinstance(parameter, Range) and parameter.high > parameter.low:
        return (value - float(parameter.low)) / float(parameter.high - parameter.low)
    return 0.0


def _value(parameter: Parameter, share: float) -> str:
    if parameter.points is not None:
        return parameter.value_at(min(int(share * parameter.points), parameter.points - 1))
    assert isinstance(parameter, Range)
    return repr(float(parameter.low) + share * float(parameter.high - parameter.low))
