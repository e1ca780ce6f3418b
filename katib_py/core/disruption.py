"""A Job whose pod the cluster takes away goes on with another one: rendered so, for it is not the default."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

IGNORED: Final = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def forgiving(run: Mapping[str, Any]) -> Mapping[str, Any]:
    """The run object; a Job that says nothing of its pods' failures does not count disruptions among them.

    Kubernetes allows such a rule only where pods are never restarted in place, nor replaced before they have ended.
    """
    spec = run.get("spec")
    if run.get("kind") != "Job" or not isinstance(spec, Mapping) or "podFailurePolicy" in spec:
        return run
    if _restart_policy(spec) != "Never" or spec.get("podReplacementPolicy", "Failed") != "Failed":
        return run
    return {**run, "spec": {**spec, "podFailurePolicy": {"rules": [IGNORED]}}}


def _restart_policy(spec: Mapping[str, Any]) -> Any:
    value: Any = spec
    for step in ("template", "spec", "restartPolicy"):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
