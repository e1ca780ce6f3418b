"""JSON values: what an Experiment may consist of, whoever hands it over."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.documents import MAX_DEPTH, MAX_NODES
from katib_py.core.errors import InvalidInput, Problem, show

LARGEST_INTEGER: Final = 2**64


class _Dropped:
    """Stands for a value that JSON cannot express."""


DROPPED: Final = _Dropped()


def as_json(document: object) -> tuple[Any, list[Problem]]:
    """A copy that holds JSON types only, and a problem for every value left out of it.

    Raises InvalidInput for a document that is too deep or too large to copy.
    """
    copier = _Copier()
    value = copier.copy(document, "", 0)
    return (None if value is DROPPED else value), copier.problems


class _Copier:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._nodes = 0

    def copy(self, value: object, path: str, depth: int) -> Any:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            what = f"is nested more than {MAX_DEPTH} levels deep" if depth > MAX_DEPTH else "is too large"
            raise InvalidInput([Problem(path[:200], what)])
        match value:
            case Mapping():
                return self._mapping(value, path, depth)
            case list() | tuple():
                items = [self.copy(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(value)]
                return [None if item is DROPPED else item for item in items]
        if (complaint := _complaint(value)) is not None:
            self.problems.append(Problem(path, complaint))
            return DROPPED
        return value

    def _mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        result = {}
        for key, item in value.items():
            if not isinstance(key, str) or _complaint(key) is not None:
                self.problems.append(Problem(path, f"has the key {show(key)}; keys must be text"))
                continue
            copied = self.copy(item, f"{path}.{key}" if path else key, depth + 1)
            if copied is not DROPPED:
                result[key] = copied
        return result


def _complaint(value: object) -> str | None:
    match value:
        case None | bool():
            return None
        case str():
            return _text_complaint(value)
        case int():
            return (
                None
                if abs(value) < LARGEST_INTEGER
                else "is a whole number of more than 64 bits; quote it if it is text"
            )
        case float():
            return None if math.isfinite(value) else f"is {value}; must be a finite number"
    return f"is {show(value)}, a {type(value).__name__}; must be text, a number, true, false, a list or a mapping"


def _text_complaint(value: str) -> str | None:
    if "\0" in value:
        return f"is {show(value)}; text must not contain the character NUL"
    try:
        value.encode()
    except UnicodeEncodeError:
        return f"is {show(value)}; text must be Unicode without lone surrogates"
    return None
