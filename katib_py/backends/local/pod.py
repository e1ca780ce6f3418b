"""The pod template of a run object that runs locally: the one with the primary container."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from katib_py.core.experiment import TrialTemplate
from katib_py.core.pods import primary_pod


@dataclass(frozen=True, slots=True)
class LocalPod:
    """A pod template: its metadata, its spec, its primary container, and where that stands in the run object."""

    metadata: Mapping[str, Any]
    spec: Mapping[str, Any]
    container: Mapping[str, Any]
    path: str


def find_pod(document: Mapping[str, Any], template: TrialTemplate) -> LocalPod | None:
    """The pod template with the primary container; None where there is none."""
    found = primary_pod(document, template)
    if found is None:
        return None
    pod, container = found
    steps = [*pod.path, *pod.place.containers]
    held = _at(document, steps)
    if isinstance(held, list):
        steps.append(next(number for number, item in enumerate(held) if item is container))
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    return LocalPod(_mapping(pod.template, "metadata"), _mapping(pod.template, "spec"), container, path)


def _at(value: Any, steps: list[str | int]) -> Any:
    for step in steps:
        value = value[step]
    return value


def _mapping(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    held = value.get(key)
    return held if isinstance(held, Mapping) else {}
