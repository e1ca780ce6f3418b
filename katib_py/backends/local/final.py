"""The run object at its end: a status on which the conditions of every kind of template can look."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.status import time_text

# Kinds differ in how they say the same: batch Jobs, Kubeflow's jobs and JobSets by these condition types, Tekton by the
# status of Succeeded, pods and Argo by a phase, Ray by jobStatus.
SUCCESS_TYPES: Final = ("Complete", "Succeeded", "Completed")
SUCCESS: Final = {"succeeded": 1, "phase": "Succeeded", "jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"}
FAILURE: Final = {"failed": 1, "phase": "Failed", "jobStatus": "FAILED", "jobDeploymentStatus": "Failed"}

DEADLINE: Final = "DeadlineExceeded"
BACKOFF: Final = "BackoffLimitExceeded"


def succeeded(document: Mapping[str, Any], now: float) -> dict[str, Any]:
    """The document of a run whose program exited with 0; `now` is seconds since the epoch, UTC."""
    time = time_text(now)
    texts = ("Completed", "the program exited with 0", time)
    conditions = [_condition(kind, *texts) for kind in SUCCESS_TYPES]
    return _with_status(document, {"conditions": conditions, **SUCCESS}, time)


def failed(document: Mapping[str, Any], reason: str, message: str, now: float) -> dict[str, Any]:
    """The document of a run that failed, and why."""
    time = time_text(now)
    why = _condition("Failed", reason, message, time)
    conditions = [why, {**why, "type": "Succeeded", "status": "False"}]
    return _with_status(document, {"conditions": conditions, **FAILURE}, time)


def exit_words(status: int) -> str:
    """An exit status in words; the shell adds 128 to the number of a signal."""
    if status > 128:
        try:
            return f"exit status {status}: {signal.Signals(status - 128).name}"
        except ValueError:
            pass
    return f"exit status {status}"


def _condition(kind: str, reason: str, message: str, time: str) -> dict[str, str]:
    texts = {"reason": reason, "message": message}
    return {"type": kind, "status": "True", **texts, "lastProbeTime": time, "lastTransitionTime": time}


def _with_status(document: Mapping[str, Any], status: dict[str, Any], time: str) -> dict[str, Any]:
    return {**document, "status": {**status, "completionTime": time}}
