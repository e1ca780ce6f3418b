"""Settings of a stopper: text in the Experiment, fields of the stopper. A field's metadata reads the text."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import AlgorithmSpec
from katib_py.core.parse import nearest

Fits = Callable[[float], bool]


def integer(default: int | None, at_least: int) -> Any:
    """A field that the user sets to an integer."""

    def read(text: str) -> int | None:
        value = _whole(text)
        return value if value is not None and value >= at_least else None

    return _field(default, read, f"an integer of {at_least} or more")


def number(default: float | None, right: str = "a finite number", fits: Fits = math.isfinite) -> Any:
    """A field that the user sets to a number; `right` says in words what `fits` demands."""

    def read(text: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            return None
        return value if math.isfinite(value) and fits(value) else None

    return _field(default, read, right)


def flag(default: bool) -> Any:
    """A field that the user sets to true or false."""
    return _field(default, {"true": True, "false": False}.get, "true or false")


def metric_name() -> Any:
    """A field that the user sets to the name of a metric; by default it is empty."""
    return _field("", lambda written: written or None, "the name of a metric")


def values_of(kind: type[Any], spec: AlgorithmSpec, path: str) -> dict[str, Any]:
    """The fields' values; raises InvalidInput with every problem. Of two with one name the last counts."""
    fields = {field.name: field for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    problems = []
    for index, setting in enumerate(spec.algorithm_settings):
        where = f"{path}.algorithmSettings[{index}]"
        field = fields.get(setting.name)
        if field is None:
            problems.append(Problem(f"{where}.name", _unknown(setting.name, list(fields))))
            continue
        value = field.metadata["read"](setting.value)
        if value is None:
            words = f"is {show(setting.value)}; {setting.name} must be {field.metadata['right']}"
            problems.append(Problem(f"{where}.value", words))
        values[setting.name] = value
    if problems:
        raise InvalidInput(problems)
    return values


def _unknown(name: str, known: list[str]) -> str:
    meant = nearest(name, known)
    return f"is {show(name)}; must be one of {', '.join(known)}" + (f": did you mean {meant}?" if meant else "")


def _field(default: Any, read: Callable[[str], Any], right: str) -> Any:
    return dataclasses.field(default=default, metadata={"read": read, "right": right})


def _whole(written: str) -> int | None:
    try:
        return int(written)
    except ValueError:
        return None
