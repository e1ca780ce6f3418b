"""The search space: hyperparameters, or the operations of an architecture."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from katib_py.core.errors import Problem, show
from katib_py.core.experiment import ExperimentSpec, NasConfig
from katib_py.core.space import ParameterSpec, ParameterType, number

# Python reads more as a number (1_000, digits of other scripts) than algorithm services of other languages do.
DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
MAX_POINTS: Final = 2**53
INTEGER_BOUND: Final = 2**63
NUMERIC: Final = {ParameterType.INT, ParameterType.DOUBLE}


def search_space_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Exactly one of parameters and nasConfig, and each sound."""
    if not spec.parameters and spec.nas_config is None:
        yield Problem("spec.parameters", "is missing, and so is nasConfig; give one of them: what is searched")
    if spec.parameters and spec.nas_config is not None:
        yield Problem("spec.nasConfig", "stands beside parameters; give one of them")
    yield from parameters_problems(spec.parameters, "spec.parameters")
    if spec.nas_config is not None:
        yield from _architecture_problems(spec.nas_config)


def parameters_problems(parameters: tuple[ParameterSpec, ...], path: str) -> Iterator[Problem]:
    """Each parameter's name, type and feasible space."""
    seen: set[str] = set()
    for index, parameter in enumerate(parameters):
        where = f"{path}[{index}]"
        if not parameter.name:
            yield Problem(f"{where}.name", "is missing; must be a name")
        elif parameter.name in seen:
            yield Problem(f"{where}.name", f"is {show(parameter.name)}, which stands above already")
        seen.add(parameter.name)
        yield from _space_problems(parameter, where)


def _architecture_problems(nas: NasConfig) -> Iterator[Problem]:
    path = "spec.nasConfig"
    layers = nas.graph_config.num_layers
    if layers is not None and layers < 1:
        yield Problem(f"{path}.graphConfig.numLayers", f"is {layers}; must be 1 or more")
    for field, sizes in (("inputSizes", nas.graph_config.input_sizes), ("outputSizes", nas.graph_config.output_sizes)):
        for index, size in enumerate(sizes):
            if size < 1:
                yield Problem(f"{path}.graphConfig.{field}[{index}]", f"is {size}; must be 1 or more")
    if not nas.operations:
        yield Problem(f"{path}.operations", "is missing; must list the operations to choose from")
    for index, operation in enumerate(nas.operations):
        where = f"{path}.operations[{index}]"
        if not operation.operation_type:
            yield Problem(f"{where}.operationType", "is missing; must be the name of an operation")
        yield from parameters_problems(operation.parameters, f"{where}.parameters")


def _space_problems(parameter: ParameterSpec, path: str) -> Iterator[Problem]:
    kinds = ", ".join(kind.value for kind in ParameterType if kind is not ParameterType.UNKNOWN)
    match parameter.parameter_type:
        case None:
            yield Problem(f"{path}.parameterType", f"is missing; must be one of {kinds}")
        case ParameterType.UNKNOWN:
            yield Problem(f"{path}.parameterType", f"is unknown; must be one of {kinds}")
        case ParameterType.CATEGORICAL | ParameterType.DISCRETE:
            yield from _list_problems(parameter, f"{path}.feasibleSpace")
        case _:
            yield from _range_problems(parameter, f"{path}.feasibleSpace")


def _list_problems(parameter: ParameterSpec, path: str) -> Iterator[Problem]:
    space, kind = parameter.feasible_space, parameter.parameter_type
    for field in ("min", "max", "step"):
        if text := getattr(space, field):
            yield Problem(f"{path}.{field}", f"is {show(text)}; a {kind} parameter has only a list")
    if not space.values:
        yield Problem(f"{path}.list", f"is empty; a {kind} parameter must list its values")
    discrete = kind is ParameterType.DISCRETE
    seen: set[str | Decimal] = set()
    for index, text in enumerate(space.values):
        value: str | Decimal = text
        if discrete:
            parsed = _decimal(text)
            if parsed is None:
                yield Problem(f"{path}.list[{index}]", f"is {show(text)}; a discrete parameter's values are numbers")
                continue
            value = parsed
        if value in seen:
            yield Problem(f"{path}.list[{index}]", f"is {show(text)}, which stands above already", "warning")
        seen.add(value)


def _range_problems(parameter: ParameterSpec, path: str) -> Iterator[Problem]:
    space, kind = parameter.feasible_space, parameter.parameter_type
    integer = kind is ParameterType.INT
    if space.values:
        yield Problem(f"{path}.list", f"is {show(list(space.values))}; an {kind} parameter has min and max")
    values: dict[str, Decimal] = {}
    for field in ("min", "max", "step"):
        text = getattr(space, field)
        if not text and field == "step":
            continue
        found = _decimal(text)
        complaint = _number_complaint(text, found, integer)
        if complaint is not None:
            yield Problem(f"{path}.{field}", complaint)
        elif found is not None:
            values[field] = found
    yield from _step_problems(values, path)
    if "min" in values and "max" in values:
        yield from _bounds_problems(values["min"], values["max"], parameter, path)


def _number_complaint(text: str, found: Decimal | None, integer: bool) -> str | None:
    if not text:
        return "is missing; must be a number"
    if found is None:
        return f"is {show(text)}; must be a finite number"
    if integer and found != found.to_integral_value():
        return f"is {show(text)}; an int parameter's bounds and step are whole numbers"
    if integer and abs(found) >= INTEGER_BOUND:
        return f"is {show(text)}; must be a number of at most 64 bits"
    return None


def _step_problems(values: dict[str, Decimal], path: str) -> Iterator[Problem]:
    step = values.get("step")
    if step is None:
        return
    if step <= 0:
        yield Problem(f"{path}.step", f"is {step}; must be above 0")
    elif "min" in values and "max" in values and values["min"] < values["max"]:
        width = float(values["max"]) - float(values["min"])
        if float(step) == 0 or width / float(step) > MAX_POINTS:
            yield Problem(f"{path}.step", f"is {step}; too small for the range from min to max")
        elif float(step) > width:
            yield Problem(f"{path}.step", f"is {step}; above max - min, so only min is tried", "warning")


def _bounds_problems(low: Decimal, high: Decimal, parameter: ParameterSpec, path: str) -> Iterator[Problem]:
    distribution = parameter.feasible_space.distribution
    if low > high:
        yield Problem(f"{path}.min", f"is {low}; must not exceed max, {high}")
    elif not math.isfinite(float(high) - float(low)):
        yield Problem(f"{path}.max", f"is {high}; too far from min, {low}")
    if distribution is not None and distribution.logarithmic and float(low) <= 0:
        yield Problem(f"{path}.min", f"is {low}; must be above 0 for the distribution {distribution}")


def _decimal(text: str) -> Decimal | None:
    """The number, if it is one in the notation that every language reads."""
    stripped = text.strip()
    if len(stripped) > 1000 or not DECIMAL.fullmatch(stripped):
        return None
    try:
        return number(stripped)
    except ValueError:
        return None
