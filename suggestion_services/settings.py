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
Field = dataclasses.Field[Any]

FLAGS = {"true": True, "false": False}


def configured(offered: type[Algorithm] | Algorithm, spec: AlgorithmSpec) -> Algorithm:
    """The algorithm with the user's settings; raises InvalidInput with every problem. Of two with one name the last
    counts. What the user does not set is as in the instance, if it is one that is given."""
    fields, others = _fields(offered)
    values: dict[str, Any] = {}
    untaken: dict[str, str] = {}
    problems = []
    for index, item in enumerate(spec.algorithm_settings):
        field = fields.get(item.name)
        path = f"{PATH}.algorithmSettings[{index}]"
        if field is None and others is not None:
            untaken[item.name] = item.value
            continue
        if field is None:
            if not offered.ignores_unknown_settings:
                problems.append(Problem(path, _unknown(item.name, spec.algorithm_name, fields)))
            continue
        try:
            values[field.name] = _value(field, item.value)
        except ValueError as error:
            problems.append(Problem(path, f"failed to validate {item.name}({item.value}): {error}"))
    if problems:
        raise InvalidInput(problems)
    if others is not None:
        values[others.name] = tuple(untaken.items())
    if isinstance(offered, type):
        return offered(**values)
    return dataclasses.replace(offered, **values) if values else offered  # type: ignore[type-var]


def nearest(name: str, known: Iterable[str]) -> str:
    """A question that names the known word closest to `name`; empty where none is close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _fields(offered: type[Algorithm] | Algorithm) -> tuple[dict[str, Field], Field | None]:
    """The fields by the names that a user may write, and the one that takes what is left."""
    found: dict[str, Field] = {}
    others = None
    known: tuple[Field, ...] = dataclasses.fields(offered) if dataclasses.is_dataclass(offered) else ()
    for field in known:
        if field.metadata.get("rest"):
            others = field
        elif field.init:
            found.update(dict.fromkeys((field.name, *field.metadata.get("aliases", ())), field))
    return found, others


def _unknown(name: str, algorithm: str, fields: dict[str, Field]) -> str:
    known = ", ".join(fields) or "none"
    return f"unknown setting {name} for algorithm {algorithm}; it knows {known}{nearest(name, fields)}"


def _value(field: Field, text: str) -> int | float | str | bool:
    words = field.metadata.get("words")
    if words is None:
        return _plain(field, text)
    if text not in words:
        raise ValueError(f"{field.name} must be one of {', '.join(words)}{nearest(text, words)}")
    return text


def _plain(field: Field, text: str) -> int | float | str | bool:
    """A field that says no more than its type: a third party's may be text, or true and false."""
    kind = str(field.type)
    if "str" in kind:
        return text
    if "bool" not in kind:
        return _number(field, text)
    if text not in FLAGS:
        raise ValueError(f"{field.name} must be true or false")
    return FLAGS[text]


def _number(field: Field, text: str) -> int | float:
    integer = "int" in str(field.type)
    try:
        value = int(text) if integer else float(text)
    except ValueError:
        raise ValueError(f"{show(text)} is not {'an integer' if integer else 'a number'}") from None
    bounds: Bounds = field.metadata.get("bounds", Bounds())
    if not bounds.hold(value):
        raise ValueError(f"{field.name} must be {bounds or 'finite'}")
    return value
