"""The pods of trials as the runner needs them: whose they are, how they are, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.owners import controller_of
from katib_py.core.names import LABEL_TRIAL
from katib_py.core.status import parse_time, time_text

# A container in one of these is on its way; any other reason is trouble.
USUAL: Final = frozenset({"ContainerCreating", "PodInitializing", ""})
SIDECARS: Final = frozenset({"metrics-logger-and-collector", "metrics-collector"})
EVICTED: Final = frozenset({"Evicted", "Preempting", "NodeLost"})
# Kubelets say one and the other by turns, about the same trouble.
SAME: Final[Mapping[str, str]] = {"ErrImagePull": "ImagePullBackOff"}


class Trouble(NamedTuple):
    """What a pod waits for, as a reason and in words."""

    reason: str
    message: str


class Container(NamedTuple):
    """One container of a pod; `started`: it has run or does. `restarts` counts how often it was run again."""

    started: bool = False
    ended: bool = False
    restarts: int = 0


NEW: Final = Container()


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod. `owner` is the uid of its controller; times are as the API server writes them, "" while they are none.

    `left` is when somebody asked for its end, `finished` when its last container ended. `summary` is the termination
    message of a collector's sidecar.
    """

    namespace: str
    name: str
    uid: str
    trial: str
    owner: str
    labels: Mapping[str, str]
    created: str
    left: str
    finished: str
    phase: str
    containers: Mapping[str, Container]
    disrupted: bool
    trouble: Trouble | None
    summary: str

    @property
    def ended(self) -> bool:
        """Whether none of its containers will run again."""
        return self.phase in {"Succeeded", "Failed"}

    def container(self, name: str) -> Container:
        """How its container of this name is."""
        return self.containers.get(name, NEW)

    def is_primary(self, labels: Mapping[str, str], container: str) -> bool:
        """Whether it has all of these labels, and a container of this name."""
        return labels.items() <= self.labels.items() and container in self.containers


def slim(document: Mapping[str, Any], naming: str = LABEL_TRIAL) -> Pod:
    """The part of a Pod object that the runner looks at; the label `naming` names its trial."""
    metadata, spec, status = document["metadata"], document.get("spec") or {}, document.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {entry.get("type"): entry for entry in status.get("conditions") or ()}
    containers = [*_statuses(status, "initContainerStatuses"), *_statuses(status, "containerStatuses")]
    disruption = conditions.get("DisruptionTarget", {})
    left = metadata.get("deletionTimestamp", "")
    return Pod(
        metadata.get("namespace", ""),
        metadata["name"],
        metadata["uid"],
        labels.get(naming, ""),
        controller_of(document).get("uid", ""),
        labels,
        metadata.get("creationTimestamp", ""),
        _earlier(left, metadata.get("deletionGracePeriodSeconds", 0)) if left else "",
        max((_finished(entry) for entry in containers), default=""),
        status.get("phase", "Pending"),
        {**dict.fromkeys(_names(spec), NEW), **{entry["name"]: _container(entry) for entry in containers}},
        disruption.get("status") == "True" or status.get("reason") in EVICTED,
        None if left else _trouble(conditions, containers),
        next((_message(entry) for entry in containers if entry["name"] in SIDECARS), ""),
    )


def _statuses(status: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    yield from status.get(key) or ()


def _names(spec: Mapping[str, Any]) -> Iterator[str]:
    for key in ("initContainers", "containers"):
        yield from (entry["name"] for entry in spec.get(key) or ())


def _container(entry: Mapping[str, Any]) -> Container:
    state = entry.get("state") or {}
    restarts = int(entry.get("restartCount") or 0)
    return Container("running" in state or "terminated" in state or restarts > 0, "terminated" in state, restarts)


def _earlier(moment: str, seconds: int) -> str:
    """The deletionTimestamp of a pod is when its time of grace is over."""
    parsed = parse_time(moment)
    return time_text(parsed - seconds) if parsed is not None else moment


def _finished(entry: Mapping[str, Any]) -> str:
    terminated = (entry.get("state") or {}).get("terminated") or {}
    return str(terminated.get("finishedAt") or "")


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
            reason, words = str(waiting["reason"]), str(waiting.get("message") or "")
            return Trouble(SAME.get(reason, reason), f"container {entry['name']}: {words or reason}")
    return None
