"""A trial's pod with what Katib's webhook gives it: labels, variables, and the collector beside the training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.core.addresses import default_address
from katib_py.core.experiment import Collector, CollectorKind, MetricsCollectorSpec
from katib_py.core.json_types import as_json
from katib_py.core.katib_config import KatibConfig
from katib_py.core.names import LABEL_TRIAL
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.parse import M, read_model
from katib_py.core.pods import mark
from katib_py.core.sidecar import (
    COMMAND,
    LIFECYCLE,
    NAMES,
    PLACE_BITS,
    VOLUME,
    arguments,
    borrowed_env,
    metrics_folder,
    metrics_path,
    mount_over,
    security_context,
    shared_mount,
)

GRACE_SECONDS: Final = 30  # Kubernetes' own default

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What a Trial object says about its pods."""

    name: str
    namespace: str
    uid: str
    labels: Mapping[str, str]
    objective: ObjectiveSpec
    collector: MetricsCollectorSpec
    primary_labels: Mapping[str, str]
    primary_container: str

    @classmethod
    def of(cls, trial: Mapping[str, Any]) -> TrialFacts:
        """The facts, as far as they can be read."""
        metadata, spec = _mapping(trial.get("metadata")), _mapping(trial.get("spec"))
        return cls(
            str(metadata.get("name", "")),
            str(metadata.get("namespace", "")),
            str(metadata.get("uid", "")),
            _texts(metadata.get("labels")),
            _read(ObjectiveSpec, spec.get("objective")),
            _read(MetricsCollectorSpec, spec.get("metricsCollector")),
            _texts(spec.get("primaryPodLabels")),
            str(spec.get("primaryContainerName", "")),
        )


@dataclass(frozen=True, slots=True)
class Setup:
    """How this installation injects: its configuration, the image that has our collector, and the trial's variables."""

    config: KatibConfig
    image: str
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Injected:
    """The pod as it shall be, and what is odd about it in words."""

    pod: Json
    notes: tuple[str, ...] = ()


def inject(pod: Mapping[str, Any], trial: TrialFacts, setup: Setup, now: float) -> Injected:
    """The trial's pod, marked, and with its collector if it is the primary one; doing it twice changes nothing more.

    `now` is seconds since the epoch, UTC: the pod's birth.
    """
    labels = {**trial.labels, LABEL_TRIAL: trial.name}
    labelled = {**_texts(_mapping(pod.get("metadata")).get("labels")), **labels}
    notes: tuple[str, ...] = ()
    changed = dict(pod)
    if trial.primary_labels.items() <= labelled.items():
        changed, notes = _with_collector(changed, trial, setup, now)
    marked = mark({**changed, "kind": "Pod"}, labels, setup.env)
    if "kind" not in pod:
        del marked["kind"]
    return Injected(marked, notes)


def _with_collector(pod: Json, trial: TrialFacts, setup: Setup, now: float) -> tuple[Json, tuple[str, ...]]:
    kind = trial.collector.kind
    custom = _custom(trial.collector)
    name = str(custom.get("name", "")) if kind is CollectorKind.CUSTOM else NAMES.get(kind, "")
    primary = next((each for each in _containers(pod) if each.get("name") == trial.primary_container), None)
    if not name or any(each.get("name") == name for each in (*_containers(pod), *_init_containers(pod))):
        return pod, ()
    if primary is None:
        return pod, (f"no container is named {trial.primary_container}, so none gets a metrics collector",)
    mounts, pod = _mounts(pod, trial.collector, primary, read_only=kind is not CollectorKind.CUSTOM)
    if mounts is None:
        return pod, ("the metrics are in the root folder, which cannot be shared with a metrics collector",)
    spec = _mapping(pod.get("spec"))
    if kind is CollectorKind.CUSTOM:
        own = [mount for mount in mounts if mount_over(custom, mount["mountPath"]) is None]
        container = _with_mounts(custom, own)
        spec = {**spec, "shareProcessNamespace": True, "containers": [*_containers(pod), container]}
    else:
        container = _sidecar(pod, trial, setup, now)
        container |= {
            "name": name,
            "volumeMounts": mounts,
            "env": borrowed_env(primary, mounts),
            "securityContext": security_context(pod, primary, _copied(pod, setup)),
        }
        spec = {**spec, "initContainers": [*_init_containers(pod), container]}
    return {**pod, "spec": spec}, ()


def _sidecar(pod: Json, trial: TrialFacts, setup: Setup, now: float) -> Json:
    sidecar = setup.config.collector(trial.collector.kind, setup.image)
    spec = _mapping(pod.get("spec"))
    flags = arguments(trial.name, trial.objective, trial.collector, default_address(setup.env))
    container: Json = {
        "image": sidecar.image,
        "imagePullPolicy": sidecar.pull_policy,
        "args": [
            *flags,
            f"-born={int(now * 1000) << PLACE_BITS}",
            f"-grace={spec.get('terminationGracePeriodSeconds', GRACE_SECONDS)}",
        ],
        "restartPolicy": "Always",
        "resources": sidecar.resources,
    }
    return {**container, "command": [*COMMAND], "lifecycle": LIFECYCLE} if sidecar.own else container


def _copied(pod: Json, setup: Setup) -> Any:
    """The context of the first container, where the configuration says that it is to be copied."""
    return _containers(pod)[0].get("securityContext") if setup.config.init.controller.inject_security_context else None


def _mounts(
    pod: Json, spec: MetricsCollectorSpec, primary: Mapping[str, Any], read_only: bool
) -> tuple[list[Json] | None, Json]:
    """The collector's mounts, None where there can be none, and the pod with the volume that they need.

    Where the training keeps its metrics in a volume of its own, the collector sees that one.
    """
    path, folder = metrics_path(spec), metrics_folder(spec)
    if path is None or folder is None:
        return [], pod
    if (mount := mount_over(primary, path)) is not None:
        return [shared_mount(mount, read_only)], pod
    if folder == "/":
        return None, pod
    new = {"name": VOLUME, "mountPath": folder}
    spec_ = _mapping(pod.get("spec"))
    volumes = list(spec_.get("volumes") or ())
    if all(volume.get("name") != VOLUME for volume in volumes):
        volumes.append({"name": VOLUME, "emptyDir": {}})
    containers = [_with_mounts(each, [new]) if each is primary else each for each in _containers(pod)]
    return [shared_mount(new, read_only)], {**pod, "spec": {**spec_, "volumes": volumes, "containers": containers}}


def _with_mounts(container: Mapping[str, Any], mounts: list[Json]) -> Json:
    return {**container, "volumeMounts": [*(container.get("volumeMounts") or ()), *mounts]} if mounts else {**container}


def _custom(spec: MetricsCollectorSpec) -> Json:
    return (spec.collector or Collector()).custom_collector or {}


def _containers(pod: Mapping[str, Any]) -> list[Json]:
    return list(_items(_mapping(pod.get("spec")).get("containers")))


def _init_containers(pod: Mapping[str, Any]) -> list[Json]:
    return list(_items(_mapping(pod.get("spec")).get("initContainers")))


def _items(value: Any) -> Iterator[Json]:
    yield from (item for item in (value if isinstance(value, list) else ()) if isinstance(item, dict))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> dict[str, str]:
    return {str(key): str(item) for key, item in _mapping(value).items()}


def _read(model: type[M], value: Any) -> M:
    """The part of a Trial as far as it can be read: Katib may have written it."""
    copied, _ = as_json(dict(_mapping(value)))
    return read_model(model, copied)[0]
