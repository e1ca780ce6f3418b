"""The ConfigMaps and Secrets that stand beside the Experiment in its file."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from katib_py.core.errors import InvalidInput, Problem, show

CONFIG_MAP: Final = "ConfigMap"
SECRET: Final = "Secret"


@dataclass(frozen=True, slots=True)
class Configs:
    """Contents by kind and name, each a mapping of key to bytes."""

    contents: Mapping[tuple[str, str], Mapping[str, bytes]] = field(default_factory=dict)

    @classmethod
    def of(cls, documents: Iterable[Mapping[str, Any]]) -> Configs:
        """The contents of these documents; raises InvalidInput for a value that is no text or no base64."""
        contents = {}
        problems: list[Problem] = []
        for document in documents:
            kind = str(document.get("kind"))
            name = str(_mapping(document, "metadata", kind, problems).get("name", ""))
            contents[kind, name] = _content(document, f"{kind} {name}", problems)
        if problems:
            raise InvalidInput(problems)
        return cls(contents)

    def get(self, kind: str, name: str) -> Mapping[str, bytes] | None:
        """The contents of one of them; None where it was not given."""
        return self.contents.get((kind, name))


def _content(document: Mapping[str, Any], where: str, problems: list[Problem]) -> dict[str, bytes]:
    # In both kinds one field holds plain text and the other base64, with the names the other way round.
    plain, encoded = ("stringData", "data") if document.get("kind") == SECRET else ("data", "binaryData")
    content: dict[str, bytes] = {}
    for key, value in _mapping(document, encoded, where, problems).items():
        try:
            content[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            problems.append(Problem(f"{where}: {encoded}.{key}", f"is {_shown(document, value)}; must be base64"))
    for key, value in _mapping(document, plain, where, problems).items():
        if isinstance(value, str):
            content[key] = value.encode()
        else:
            problems.append(Problem(f"{where}: {plain}.{key}", f"is {_shown(document, value)}; must be text"))
    return content


def _mapping(document: Mapping[str, Any], key: str, where: str, problems: list[Problem]) -> Mapping[str, Any]:
    value = document.get(key) or {}
    if isinstance(value, Mapping):
        return value
    problems.append(Problem(f"{where}: {key}", f"is {_shown(document, value)}; must be a mapping"))
    return {}


def _shown(document: Mapping[str, Any], value: Any) -> str:
    """The value in an error; of a Secret only its type."""
    return f"not shown ({type(value).__name__})" if document.get("kind") == SECRET else show(value)
