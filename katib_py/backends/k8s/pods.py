"""The pods of trials as the runner needs them: whose they are, how they are, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from katib_py.core.names import LABEL_TRIAL

# A container in one of these is on its way; any other reason is trouble.
USUAL: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
SIDECARS: Final = frozenset({"metrics-logger-and-collector", "metrics-collector"})


class Trouble(NamedTuple):
    """What a pod waits for, as a reason and in words."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod; `order` is its creation time, `ended` whether none of its containers will run again.

    `started`: the names of the containers that have run or do. `summary` is the termination message of a collector's
    sidecar.
    """

    namespace: str
    name: str
    uid: str
    trial: str
    labels: Mapping[str, str]
    order: str
    phase: str
    started: frozenset[str]
    exited: frozenset[str]
    disrupted: bool
    leaving: bool
    trouble: Trouble | None
    summary: str

    @property
    def ended(self) -> bool:
        """Whether none of its containers will run again."""
        return self.phase in {"Succeeded", "Failed"}

    def is_primary(self, wanted: Mapping[str, str]) -> bool:
        """Whether it has all of these labels."""
        return wanted.items() <= self.labels.items()


def slim(document: Mapping[str, Any]) -> Pod:
    """The part of a Pod object that the runner looks at."""
    metadata, status = document["metadata"], document.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    containers = [*_statuses(status, "initContainerStatuses"), *_statuses(status, "containerStatuses")]
    disruption = conditions.get("DisruptionTarget", {})
    return Pod(
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        labels.get(LABEL_TRIAL, ""),
        labels,
        metadata.get("creationTimestamp", ""),
        status.get("phase", "Pending"),
        frozenset(entry["name"] for entry in containers if _has_run(entry)),
        frozenset(entry["name"] for entry in containers if "terminated" in (entry.get("state") or {})),
        disruption.get("status") == "True" or status.get("reason") in {"Evicted", "Preempting", "NodeLost"},
        "deletionTimestamp" in metadata,
        _trouble(conditions, containers),
        next((_message(entry) for entry in containers if entry["name"] in SIDECARS), ""),
    )


def newest(pods: Iterable[Pod]) -> Pod | None:
    """The one that was made last."""
    return max(pods, key=lambda pod: (pod.order, pod.name), default=None)


def _statuses(status: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    yield from status.get(key) or ()


def _has_run(entry: Mapping[str, Any]) -> bool:
    state = entry.get("state") or {}
    return "running" in state or "terminated" in state or bool(entry.get("restartCount"))


def _message(entry: Mapping[str, Any]) -> str:
    for key in ("state", "lastState"):
        terminated = (entry.get(key) or {}).get("terminated")
        if terminated and terminated.get("message"):
            return str(terminated["message"])
    return ""


def _trouble(conditions: Mapping[Any, Mapping[str, Any]], containers: list[Mapping[str, Any]]) -> Trouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return Trouble(str(scheduled.get("reason") or "Unschedulable"), str(scheduled.get("message") or ""))
    for entry in containers:
        waiting = (entry.get("state") or {}).get("waiting")
        if waiting and waiting.get("reason", "") not in USUAL:
            words = str(waiting.get("message") or "")
            return Trouble(str(waiting["reason"]), f"container {entry['name']}: {words or waiting['reason']}")
    return None
