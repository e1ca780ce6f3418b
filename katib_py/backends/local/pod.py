"""The pod template of a run object that runs locally: the one with the primary container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

# Of several replicas with a container of that name the first of these is the primary one (Katib watches its pod).
PRIMARY_REPLICAS: Final = ("Master", "Chief", "Launcher", "Head", "Worker")


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template: its metadata, its spec, its primary container, and where that stands in the run object."""

    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    container: Mapping[str, Any]
    path: str


def find_pod(document: Mapping[str, Any], container: str) -> Pod | None:
    """The pod template whose container has this name; None where there is none."""
    return next(_pods(document, "", container), None)


def _pods(value: Any, path: str, name: str) -> Iterator[Pod]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _pods(item, f"{path}[{number}]", name)
        return
    if not isinstance(value, Mapping):
        return
    spec = value.get("spec")
    containers = spec.get("containers") if isinstance(spec, Mapping) else None
    for number, container in enumerate(containers if isinstance(containers, list) else ()):
        if isinstance(container, Mapping) and container.get("name") == name:
            metadata = value.get("metadata") or {}
            where = f"{path}.spec.containers[{number}]".removeprefix(".")
            yield Pod(metadata, spec or {}, container, where)
    for key in sorted(value, key=_rank):
        yield from _pods(value[key], f"{path}.{key}", name)


def _rank(key: str) -> int:
    return PRIMARY_REPLICAS.index(key) if key in PRIMARY_REPLICAS else len(PRIMARY_REPLICAS)
