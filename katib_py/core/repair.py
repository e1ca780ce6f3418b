"""What the official Python client writes wrong, put right before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

LISTED: Final = frozenset({"categorical", "discrete"})


def repaired(document: Any) -> Any:
    """The Experiment with the choices of its parameters in `list`; the given one is not changed.

    kubeflow-katib 0.19 writes `feasibleSpace: {distribution: ["a", 1, true]}` for a categorical parameter.
    """
    spec = document.get("spec") if isinstance(document, Mapping) else None
    parameters = spec.get("parameters") if isinstance(spec, Mapping) else None
    if not isinstance(spec, Mapping) or not isinstance(parameters, list):
        return document
    changed = [_parameter(parameter) for parameter in parameters]
    if all(new is old for new, old in zip(changed, parameters, strict=True)):
        return document
    return {**document, "spec": {**spec, "parameters": changed}}


def _parameter(parameter: Any) -> Any:
    space = parameter.get("feasibleSpace") if isinstance(parameter, Mapping) else None
    if not isinstance(space, Mapping) or str(parameter.get("parameterType")) not in LISTED or space.get("list"):
        return parameter
    choices = space.get("distribution")
    if not isinstance(choices, list) or not all(isinstance(choice, str | int | float) for choice in choices):
        return parameter
    kept = {key: value for key, value in space.items() if key not in {"distribution", "list"}}
    return {**parameter, "feasibleSpace": {**kept, "list": [str(choice) for choice in choices]}}
