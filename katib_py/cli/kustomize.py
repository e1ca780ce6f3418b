"""A kustomization to its objects: the part of kustomize in which manifests/ is written, where there is no kubectl."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from katib_py.core.documents import read_documents

Json = dict[str, Any]

FILE: Final = "kustomization.yaml"
KEYS: Final = frozenset({"apiVersion", "kind", "resources", "components", "patches"})


def render(folder: Path) -> list[Json]:
    """The objects of the kustomization in this folder; raises ValueError for what is beyond this part of kustomize."""
    return extended([], folder)


def extended(objects: Sequence[Json], folder: Path) -> list[Json]:
    """The objects with what the folder's kustomization, or component, adds and changes."""
    kustomization = _single(folder / FILE)
    if beyond := kustomization.keys() - KEYS:
        raise ValueError(
            f"{folder / FILE} has {', '.join(sorted(beyond))}; only {', '.join(sorted(KEYS))} are rendered"
        )
    result = [*objects]
    for name in kustomization.get("resources", ()):
        path = folder / name
        result += render(path) if path.is_dir() else read_documents(path.read_bytes())
    for name in kustomization.get("components", ()):
        result = extended(result, folder / name)
    for patch in kustomization.get("patches", ()):
        (operations,) = read_documents(patch["patch"])
        result = [patched(item, operations) if _meant(item, patch["target"]) else item for item in result]
    return result


def _single(path: Path) -> Json:
    (document,) = read_documents(path.read_bytes())
    result: Json = document
    return result


def _meant(item: Json, target: Json) -> bool:
    return bool(item["kind"] == target["kind"] and item["metadata"]["name"] == target["name"])


def patched(item: Json, operations: Iterable[Json]) -> Json:
    """The object after a JSON patch (RFC 6902) of the operations add, replace and remove."""
    result = copy.deepcopy(item)
    for operation in operations:
        *way, last = _steps(operation["path"])
        holder: Any = result
        for step in way:
            holder = holder[int(step)] if isinstance(holder, list) else holder[step]
        _perform(holder, last, operation)
    return result


def _steps(pointer: str) -> Iterator[str]:
    return (step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/"))


def _perform(holder: Any, last: str, operation: Json) -> None:
    match holder, operation["op"]:
        case list(), "add":
            holder.insert(len(holder) if last == "-" else int(last), operation["value"])
        case list(), "replace":
            holder[int(last)] = operation["value"]
        case list(), "remove":
            del holder[int(last)]
        case dict(), "add" | "replace":
            holder[last] = operation["value"]
        case dict(), "remove":
            del holder[last]
        case _, other:
            raise ValueError(f"the operation {other} is not rendered")
