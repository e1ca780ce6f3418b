"""The objects of an algorithm's service that an experiment has for itself (control-plane.md §3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.checkpoints import VOLUME, checkpoint_path
from katib_py.core.experiment import Experiment, ResumePolicy
from katib_py.core.katib_config import OwnImage
from katib_py.core.names import HEALTH_SERVICE, LABEL_DEPLOYMENT, LABEL_EXPERIMENT, LABEL_SUGGESTION
from katib_py.core.objects import owned

Json = dict[str, Any]

SUGGESTION_PORT: Final = 6789
EARLY_STOPPING_PORT: Final = 6788
NO_ISTIO: Final = {"sidecar.istio.io/inject": "false"}


def service_name(experiment: Experiment) -> str:
    """The name of the Deployment, Service and claim: `<experiment>-<algorithm>`."""
    assert experiment.spec.algorithm is not None
    return f"{experiment.name}-{experiment.spec.algorithm.algorithm_name}"


def deployment(
    experiment: Experiment, suggestion: OwnImage | None, early_stopping: OwnImage | None, grpc_probe: bool
) -> Json:
    """The Deployment with a container for each service that the experiment has for itself."""
    containers = []
    volumes: list[Json] = []
    if suggestion is not None:
        container = _with_port(suggestion.container, "suggestion-api", SUGGESTION_PORT)
        container = _probed(container) if grpc_probe else container
        if _keeps(experiment):
            volumes.append({"name": VOLUME, "persistentVolumeClaim": {"claimName": service_name(experiment)}})
            container = _mounted(container, suggestion.mount_path)
        containers.append(container)
    if early_stopping is not None:
        containers.append(_with_port(early_stopping.container, "earlystop-api", EARLY_STOPPING_PORT))
    account = suggestion.service_account if suggestion is not None else ""
    pod: Json = {"containers": containers, **({"volumes": volumes} if volumes else {})}
    # The service speaks gRPC only: it has no business with the Kubernetes API unless an account was configured.
    pod |= {"serviceAccountName": account} if account else {"automountServiceAccountToken": False}
    labels = _labels(experiment)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**owned(experiment, service_name(experiment)), "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": {**labels, **NO_ISTIO}}, "spec": pod},
        },
    }


def service(experiment: Experiment, early_stopping: bool) -> Json:
    """The Service in front of it."""
    ports = [{"name": "suggestion-api", "port": SUGGESTION_PORT}]
    if early_stopping:
        ports.append({"name": "earlystop-api", "port": EARLY_STOPPING_PORT})
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": owned(experiment, service_name(experiment)),
        "spec": {"type": "ClusterIP", "selector": _labels(experiment), "ports": ports},
    }


def claim(experiment: Experiment, image: OwnImage) -> Json | None:
    """The PersistentVolumeClaim of an experiment that resumes from a volume, or keeps checkpoints on one."""
    if not _keeps(experiment) or image.claim is None:
        return None
    spec = image.claim
    if image.volume is not None:
        # The volume is this claim's alone; the class of the cluster must not make another.
        spec = {**spec, "storageClassName": image.volume.get("storageClassName", ""), "volumeName": _volume(experiment)}
    return claim_of(experiment, spec)


def claim_of(experiment: Experiment, spec: Json) -> Json:
    """The claim that is the experiment's own."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": owned(experiment, service_name(experiment)),
        "spec": spec,
    }


def volume(experiment: Experiment, image: OwnImage) -> Json | None:
    """The PersistentVolume, where katib-config describes one; it belongs to no namespace and so has no owner."""
    if not _keeps(experiment) or image.volume is None:
        return None
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": _volume(experiment), "labels": dict(image.volume_labels or {})},
        "spec": image.volume,
    }


def _volume(experiment: Experiment) -> str:
    return f"{service_name(experiment)}-{experiment.metadata.namespace}"


def _keeps(experiment: Experiment) -> bool:
    return experiment.spec.resume_policy == ResumePolicy.FROM_VOLUME or bool(checkpoint_path(experiment))


def _labels(experiment: Experiment) -> dict[str, str]:
    return {
        LABEL_DEPLOYMENT: service_name(experiment),
        LABEL_EXPERIMENT: experiment.name,
        LABEL_SUGGESTION: experiment.name,
    }


def _with_port(container: Mapping[str, Any], name: str, number: int) -> Json:
    ports = [port for port in container.get("ports") or () if port.get("containerPort") != number]
    return {**container, "ports": [*ports, {"name": name, "containerPort": number}]}


def _probed(container: Json) -> Json:
    check = {"grpc": {"port": SUGGESTION_PORT, "service": HEALTH_SERVICE}, "initialDelaySeconds": 1}
    probes = {
        "readinessProbe": {**check, "periodSeconds": 2},
        "livenessProbe": {**check, "periodSeconds": 120, "failureThreshold": 12},
    }
    return {**probes, **container}


def _mounted(container: Json, path: str) -> Json:
    mounts = list(container.get("volumeMounts") or ())
    if any(mount.get("name") == VOLUME for mount in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, {"name": VOLUME, "mountPath": path}]}
