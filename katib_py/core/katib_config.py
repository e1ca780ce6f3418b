"""The KatibConfig of config.kubeflow.org/v1beta1: how the control plane is set up, and what serves an algorithm."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NamedTuple

from pydantic import Field

from katib_py.core.experiment import CollectorKind
from katib_py.core.models import Flag, Int32, Labels, Model
from katib_py.core.quantity import quantity
from katib_py.core.validate.job import CONTAINER

CONFIG_MAP: Final = "katib-config"
CONFIG_KEY: Final = "katib-config.yaml"

# What Katib's own images do is built in, so none of them brings back a Deployment per experiment.
KATIB_IMAGE: Final = re.compile(r"(?:ghcr\.io/kubeflow/katib|(?:docker\.io/)?kubeflowkatib)/.+")
# Katib's collectors rely on commands that it rewrites; a mirrored one could never find the training's end.
KATIB_COLLECTOR: Final = re.compile(r"(?:.+/)?(?:file|tfevent)-metrics-collector(?:[:@].*)?")

PULL_POLICIES: Final = ("Always", "IfNotPresent", "Never")
REQUESTS: Final = {"cpu": "50m", "memory": "10Mi", "ephemeral-storage": "500Mi"}
LIMITS: Final = {"cpu": "500m", "memory": "100Mi", "ephemeral-storage": "5Gi"}
# Our collector is an interpreter with gRPC: 50 MiB idle, 110 MiB when it catches up on a large file.
OWN_COLLECTOR: Final = ({**REQUESTS, "memory": "64Mi"}, {**LIMITS, "memory": "256Mi"})
SUGGESTION_CONTAINER: Final = "suggestion"
EARLY_STOPPING_CONTAINER: Final = "early-stopping"
VOLUME_PATH: Final = "/opt/katib/data"
CLAIM: Final = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
CONTAINER_FIELDS: Final = frozenset(CONTAINER.names())

Json = dict[str, Any]


class GroupVersionKind(NamedTuple):
    """A kind of object that trials may run; the core group is empty."""

    group: str
    version: str
    kind: str


class ControllerSection(Model):
    """init.controller: the controller's process."""

    experiment_suggestion_name: str = "default"
    metrics_addr: str = ":8080"
    healthz_addr: str = ":18080"
    inject_security_context: Flag = False
    grpc_probe: Annotated[Flag, Field(alias="enableGRPCProbeInSuggestion")] = True
    trial_resources: tuple[str, ...] = ("Job.v1.batch",)
    webhook_port: Int32 = 8443
    enable_leader_election: Flag = False
    leader_election_id: Annotated[str, Field(alias="leaderElectionID")] = "3fbc96e9.katib.kubeflow.org"

    @property
    def kinds(self) -> tuple[GroupVersionKind, ...]:
        """The kinds that `trialResources` names."""
        return tuple(kind for text in self.trial_resources if (kind := parse_kind(text)) is not None)


class CertGenerator(Model):
    """init.certGenerator: where the webhooks' certificates come from."""

    enable: Flag | None = None
    webhook_service_name: str = "katib-controller"
    webhook_secret_name: str = "katib-webhook-cert"

    @property
    def generate(self) -> bool:
        """Whether the controller makes the certificates: unless told that somebody else does."""
        return self.enable is not False


class Init(Model):
    """What is read once, when the controller starts."""

    controller: ControllerSection = ControllerSection()
    cert_generator: CertGenerator = CertGenerator()


class Resources(Model):
    """What a container asks for and may take."""

    requests: Json = Field(default_factory=dict)
    limits: Json = Field(default_factory=dict)

    def filled(self, defaults: tuple[Mapping[str, str], Mapping[str, str]] = (REQUESTS, LIMITS)) -> Json:
        """With defaults where nothing, or zero, is given; what is negative is left out (that is: no limit)."""
        requests, limits = _positive(self.requests), _positive(self.limits)
        for name, amount in defaults[0].items():
            if _amount(self.requests, name) == 0:
                requests[name] = _lesser(amount, limits.get(name))
        for name, amount in defaults[1].items():
            if _amount(self.limits, name) == 0:
                limits[name] = _greater(amount, requests.get(name))
        return {"requests": requests, "limits": limits}


class Entry(Model):
    """What every entry of `runtime` has."""

    image: str = ""
    image_pull_policy: str = ""
    resources: Resources = Resources()

    @property
    def pull_policy(self) -> str:
        """The policy, IfNotPresent where none of Kubernetes' three is given."""
        return self.image_pull_policy if self.image_pull_policy in PULL_POLICIES else "IfNotPresent"


class AlgorithmEntry(Entry):
    """An early stopping service; `address` is ours, in place of an image."""

    algorithm_name: str = ""
    address: str = ""


class SuggestionEntry(AlgorithmEntry):
    """A suggestion service; all fields of a container may stand beside these."""

    service_account_name: str = ""
    volume_mount_path: str = ""
    persistent_volume_claim_spec: Json | None = None
    persistent_volume_spec: Json | None = None
    persistent_volume_labels: Labels = Field(default_factory=dict)


class CollectorEntry(Entry):
    """The sidecar of one kind of metrics collector."""

    kind: str = ""
    wait_all_processes: Flag | None = None


class Runtime(Model):
    """What is read again with every use."""

    suggestions: tuple[SuggestionEntry, ...] = ()
    early_stoppings: tuple[AlgorithmEntry, ...] = ()
    metrics_collectors: tuple[CollectorEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Shared:
    """Our own service, which serves every algorithm for everyone."""


@dataclass(frozen=True, slots=True)
class Address:
    """A service that runs already, at HOST:PORT."""

    address: str


@dataclass(frozen=True, slots=True)
class OwnImage:
    """A service of its own for each experiment: the container as configured, ports and probes still to be added.

    The volume is for experiments that resume from one; `volume` is the PersistentVolume's spec, if there is to be one.
    """

    container: Json
    service_account: str = ""
    mount_path: str = VOLUME_PATH
    claim: Json | None = None
    volume: Json | None = None
    volume_labels: Mapping[str, str] | None = None


Service = Shared | Address | OwnImage
SHARED: Final = Shared()


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A collector's container; `own`: its image is ours, so the command is known."""

    image: str
    pull_policy: str
    resources: Json
    own: bool = True


class KatibConfig(Model):
    """The whole configuration; of two entries with one name the last counts."""

    api_version: str = "config.kubeflow.org/v1beta1"
    kind: str = "KatibConfig"
    init: Init = Init()
    runtime: Runtime = Runtime()

    def suggestion(self, algorithm: str) -> Service:
        """What serves the algorithm; ours, where nothing else is configured."""
        return _service(_named(self.runtime.suggestions, algorithm))

    def claim(self, algorithm: str) -> Json:
        """The spec of a claim for what the algorithm's trials keep, whoever serves it."""
        entry = _named(self.runtime.suggestions, algorithm)
        return _claim(entry) if isinstance(entry, SuggestionEntry) else dict(CLAIM)

    def early_stopping(self, algorithm: str) -> Service:
        """What serves the early stopping algorithm."""
        return _service(_named(self.runtime.early_stoppings, algorithm))

    def algorithms(self, ours: Iterable[str]) -> frozenset[str]:
        """Every algorithm that can be had here; `ours` are those of the shared service."""
        return _served(self.runtime.suggestions, ours)

    def early_stoppers(self, ours: Iterable[str]) -> frozenset[str]:
        """Every early stopping algorithm that can be had here."""
        return _served(self.runtime.early_stoppings, ours)

    def collector(self, kind: CollectorKind, own_image: str) -> Sidecar:
        """The sidecar for a kind; `own_image` is the controller's, which has our collector in it."""
        entry = next((each for each in reversed(self.runtime.metrics_collectors) if each.kind == kind), None)
        entry = entry or CollectorEntry()
        image = entry.image.strip()
        own = not image or image == own_image or is_katibs(image)
        resources = entry.resources.filled(OWN_COLLECTOR) if own else entry.resources.filled()
        return Sidecar(own_image if own else image, entry.pull_policy, resources, own)


def parse_kind(text: str) -> GroupVersionKind | None:
    """`Kind.version.group`, such as TFJob.v1.kubeflow.org, or Pod.v1 of the core group; None for other text."""
    kind, _, rest = text.partition(".")
    version, _, group = rest.partition(".")
    sound = re.fullmatch(r"[A-Z][A-Za-z0-9]*", kind) and re.fullmatch(r"v[0-9][a-z0-9]*", version)
    return GroupVersionKind(group, version, kind) if sound and re.fullmatch(r"[a-z0-9.-]*", group) else None


def is_katibs(image: str) -> bool:
    """Whether the image is Katib's own, whatever its tag; its collectors also where they are mirrored."""
    return bool(KATIB_IMAGE.fullmatch(image) or KATIB_COLLECTOR.fullmatch(image))


def _named(entries: Collection[AlgorithmEntry], algorithm: str) -> AlgorithmEntry | None:
    return next((entry for entry in reversed([*entries]) if entry.algorithm_name == algorithm), None)


def _served(entries: Collection[AlgorithmEntry], ours: Iterable[str]) -> frozenset[str]:
    names = {entry.algorithm_name for entry in entries}
    return frozenset({*ours, *(name for name in names if not isinstance(_service(_named(entries, name)), Shared))})


def _service(entry: AlgorithmEntry | None) -> Service:
    if entry is None:
        return SHARED
    if entry.address:
        return Address(entry.address)
    if not entry.image.strip() or is_katibs(entry.image.strip()):
        return SHARED
    return _own_image(entry)


def _own_image(entry: AlgorithmEntry) -> OwnImage:
    written = {key: value for key, value in (entry.model_extra or {}).items() if key in CONTAINER_FIELDS}
    container = {
        "name": SUGGESTION_CONTAINER if isinstance(entry, SuggestionEntry) else EARLY_STOPPING_CONTAINER,
        **written,
        "image": entry.image.strip(),
        "imagePullPolicy": entry.pull_policy,
        "resources": entry.resources.filled(),
    }
    if not isinstance(entry, SuggestionEntry):
        return OwnImage(container)
    volume = entry.persistent_volume_spec
    return OwnImage(
        container,
        entry.service_account_name,
        entry.volume_mount_path or VOLUME_PATH,
        _claim(entry),
        {**volume, "persistentVolumeReclaimPolicy": "Delete"} if volume is not None else None,
        entry.persistent_volume_labels,
    )


def _claim(entry: SuggestionEntry) -> Json:
    return {**CLAIM, **(entry.persistent_volume_claim_spec or {})}


def _positive(amounts: Mapping[str, Any]) -> Json:
    return {name: value for name, value in amounts.items() if quantity(value) > 0}


def _amount(amounts: Mapping[str, Any], name: str) -> Any:
    return quantity(amounts[name]) if name in amounts else 0


def _lesser(default: str, limit: Any) -> Any:
    """A default request must not exceed the limit that is given: the API server would refuse the pod."""
    return limit if limit is not None and quantity(limit) < quantity(default) else default


def _greater(default: str, request: Any) -> Any:
    return request if request is not None and quantity(request) > quantity(default) else default
