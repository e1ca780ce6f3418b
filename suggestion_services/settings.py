"""Settings of an algorithm: text in the Experiment, fields of the algorithm."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from typing import Any

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import AlgorithmSpec
from suggestion_services.contract import Algorithm, Bounds

PATH = "spec.algorithm"


def configured(kind: type[Algorithm], spec: AlgorithmSpec) -> Algorithm:
    """The algorithm with the user's settings; raises InvalidInput with every problem. Of two with one name the last
    counts."""
    fields = _fields(kind)
    values: dict[str, Any] = {}
    problems = []
    for index, item in enumerate(spec.algorithm_settings):
        field = fields.get(item.name)
        path = f"{PATH}.algorithmSettings[{index}]"
        if field is None:
            if not kind.ignores_unknown_settings:
                problems.append(Problem(path, _unknown(item.name, spec.algorithm_name, fields)))
            continue
        try:
            values[field.name] = _value(field, item.value)
        except ValueError as error:
            problems.append(Problem(path, f"failed to validate {item.name}({item.value}): {error}"))
    if problems:
        raise InvalidInput(problems)
    return kind(**values)


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that names the known word closest to `name`; empty where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _fields(kind: type[Algorithm]) -> dict[str, dataclasses.Field[Any]]:
    found = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        for name in (field.name, *field.metadata["aliases"]):
            found[name] = field
    return found


def _unknown(name: str, algorithm: str, fields: dict[str, dataclasses.Field[Any]]) -> str:
    known = ", ".join(fields) or "none"
    return f"unknown setting {name} for algorithm {algorithm}; it knows {known}{nearest(name, fields)}"


def _value(field: dataclasses.Field[Any], text: str) -> int | float | str:
    if "text" in field.metadata:
        return text
    words = field.metadata.get("words")
    if words is None:
        return _number(field, text)
    if text not in words:
        raise ValueError(f"{field.name} must be one of {', '.join(words)}{nearest(text, words)}")
    return text


def _number(field: dataclasses.Field[Any], text: str) -> int | float:
    integer = "int" in str(field.type)
    try:
        value = int(text) if integer else float(text)
    except ValueError:
        raise ValueError(f"{show(text)} is not {'an integer' if integer else 'a number'}") from None
    bounds: Bounds = field.metadata["bounds"]
    if not bounds.hold(value):
        raise ValueError(f"{field.name} must be {bounds or 'finite'}")
    return value
