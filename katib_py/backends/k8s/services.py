"""What serves an experiment's algorithms: the shared service, one at an address, or a Deployment of its own."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import grpc

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import Absent, AlreadyExists, ApiError
from katib_py.backends.k8s.owners import owned_by
from katib_py.backends.k8s.pods import slim
from katib_py.backends.k8s.resources import CLAIMS, DEPLOYMENTS, PODS, SERVICES, VOLUMES, Resource
from katib_py.backends.k8s.suggesters import Observe, channel_to
from katib_py.collectors.filters import filter_problem
from katib_py.controller.ports import EarlyStopping, Suggesters
from katib_py.core.checkpoints import checkpoint_path
from katib_py.core.early_stopping import STOPPERS
from katib_py.core.errors import Problem, ServiceUnavailable, problems_told
from katib_py.core.experiment import Experiment
from katib_py.core.katib_config import SHARED, Address, KatibConfig, OwnImage, Service
from katib_py.core.names import LABEL_DEPLOYMENT
from katib_py.core.own_service import (
    EARLY_STOPPING_PORT,
    SUGGESTION_PORT,
    claim,
    claim_of,
    deployment,
    service,
    service_name,
    volume,
)
from katib_py.core.template import ConfigMaps
from katib_py.core.validate import Checks
from katib_py.wire import api as wire
from katib_py.wire import rpc
from katib_py.wire.convert import experiment_message

Configured = Callable[[], KatibConfig]
ASK_SECONDS: Final = 2.0  # an API server waits while we ask


class Services:
    """The services of a cluster; `config` gives the KatibConfig as it is at the moment."""

    def __init__(self, api: Api, shared: Suggesters, config: Configured, db_manager: str, observe: Observe) -> None:
        self.api = api
        self.shared = shared
        self.config = config
        self.db_manager = db_manager
        self._observe = observe
        self._channels: dict[str, Any] = {}
        self.claimed: set[str] = set()  # uids of the experiments whose claim is there

    def of(self, experiment: Experiment) -> ExperimentServices:
        """The Suggesters port of one experiment."""
        assert experiment.spec.algorithm is not None
        config, stopping = self.config(), experiment.spec.early_stopping
        name = stopping.algorithm_name if stopping is not None else ""
        return ExperimentServices(
            self,
            experiment,
            config.suggestion(experiment.spec.algorithm.algorithm_name),
            config.early_stopping(name) if name else SHARED,
            OwnChannels(f"{service_name(experiment)}.{experiment.metadata.namespace}", self._observe),
        )

    def channel(self, address: str) -> Any:
        """The channel to an address, shared by all experiments; it is lost and found again by itself."""
        if address not in self._channels:
            self._channels[address] = channel_to(address, self._observe)
        return self._channels[address]

    def with_api(self, api: Api) -> Services:
        """The same services and channels, for whoever makes objects through this API."""
        other = copy.copy(self)
        other.api = api
        return other

    def checks(self, config_maps: ConfigMaps | None = None) -> Checks:
        """What is known of the cluster when an experiment is validated."""
        stoppers = self.config().early_stoppers(STOPPERS)
        return Checks(filter_problem, early_stopping=stoppers, config_maps=config_maps, in_pods=True)

    async def problems(self, experiment: Experiment) -> list[Problem]:
        """What a service that runs already says against the experiment; nothing where it does not answer in time."""
        try:
            async with asyncio.timeout(ASK_SECONDS):
                service = self.of(experiment)
                if isinstance(service.suggestion, OwnImage):
                    return []  # it is made when the experiment is
                channel = await service.channel(experiment)
                request = wire.ValidateAlgorithmSettingsRequest(experiment=experiment_message(experiment))
                await rpc.call(channel, "Suggestion", "ValidateAlgorithmSettings")(request)
        except grpc.aio.AioRpcError as error:
            said = error.code() is grpc.StatusCode.INVALID_ARGUMENT
            return list(problems_told(str(error.details()), "spec.algorithm")) if said else []
        except (TimeoutError, ServiceUnavailable):
            return []
        return []

    async def close(self) -> None:
        """Close every channel, and the shared service's."""
        for channel in self._channels.values():
            await channel.close()
        await self.shared.close()


class OwnChannels:
    """Channels to the Service of one experiment; one that was made anew under its name has another address."""

    def __init__(self, host: str, observe: Observe) -> None:
        self._host = host
        self._observe = observe
        self._uid = ""
        self._channels: dict[int, Any] = {}

    async def to(self, port: int, uid: str) -> Any:
        """The channel to a port of the Service with this uid."""
        if uid != self._uid:
            await self.close()
            self._uid = uid
        if port not in self._channels:
            self._channels[port] = channel_to(f"{self._host}:{port}", self._observe)
        return self._channels[port]

    async def close(self) -> None:
        """Close them."""
        channels, self._channels = list(self._channels.values()), {}
        for channel in channels:
            await channel.close()


@dataclass(frozen=True, slots=True)
class ExperimentServices:
    """The Suggesters port of one experiment: what serves it was decided when its engine began."""

    services: Services
    experiment: Experiment
    suggestion: Service
    stopping: Service
    channels: OwnChannels

    @property
    def own(self) -> bool:
        """Whether the experiment has a Deployment of its own."""
        return isinstance(self.suggestion, OwnImage) or isinstance(self.stopping, OwnImage)

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the algorithm's service; raises ServiceUnavailable."""
        if checkpoint_path(self.experiment) and not isinstance(self.suggestion, OwnImage):
            await self._have_claim()
        match self.suggestion:
            case Address(address):
                return self.services.channel(address)
            case OwnImage():
                return await self.channels.to(SUGGESTION_PORT, await self._have())
        return await self.services.shared.channel(experiment)

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """The experiment's early stopping service, None where ours decide; raises ServiceUnavailable."""
        spec = experiment.spec.early_stopping
        if spec is None or (spec.algorithm_name in STOPPERS and not isinstance(self.stopping, Address | OwnImage)):
            return None
        match self.stopping:
            case Address(address):
                return EarlyStopping(self.services.channel(address), self.services.db_manager)
            case OwnImage():
                channel = await self.channels.to(EARLY_STOPPING_PORT, await self._have())
                return EarlyStopping(channel, self.services.db_manager)
        raise ServiceUnavailable(f"katib-config has no early stopping service named {spec.algorithm_name}")

    async def close(self) -> None:
        """Close what is the experiment's own; the other channels are others' too."""
        await self.channels.close()

    async def end(self) -> None:
        """The experiment has ended: its own service goes, what it keeps on a volume stays; raises ApiError."""
        if not self.own:
            return
        where = self.experiment.metadata.namespace, service_name(self.experiment)
        for resource in (DEPLOYMENTS, SERVICES):
            with suppress(Absent):
                there = await self.services.api.get(resource, *where)
                if self._owns(there):
                    await self.services.api.delete(resource, where, there["metadata"]["uid"])

    async def _have_claim(self) -> None:
        """Have the volume for the trials' checkpoints; raises ServiceUnavailable."""
        uid = self.experiment.metadata.uid
        if uid in self.services.claimed:
            return
        assert self.experiment.spec.algorithm is not None
        spec = self.services.config().claim(self.experiment.spec.algorithm.algorithm_name)
        try:
            await self._create(CLAIMS, claim_of(self.experiment, spec))
        except ApiError as error:
            raise ServiceUnavailable(f"the volume of {self.experiment.name} cannot be claimed: {error}") from error
        self.services.claimed.add(uid)

    async def _have(self) -> str:
        """Have the objects of the service, and return its uid; raises ServiceUnavailable while it is not ready."""
        own = self.suggestion if isinstance(self.suggestion, OwnImage) else None
        stopping = self.stopping if isinstance(self.stopping, OwnImage) else None
        probe = self.services.config().init.controller.grpc_probe
        try:
            for resource, body in (
                (VOLUMES, volume(self.experiment, own) if own else None),
                (CLAIMS, claim(self.experiment, own) if own else None),
            ):
                await self._create(resource, body)
            front = await self._create(SERVICES, service(self.experiment, stopping is not None))
            there = await self._create(DEPLOYMENTS, deployment(self.experiment, own, stopping, probe))
            if not _available(there):
                raise ServiceUnavailable(await self._why())
        except ApiError as error:
            raise ServiceUnavailable(f"the service of {self.experiment.name} cannot be made: {error}") from error
        return str(front["metadata"]["uid"])

    async def _create(self, resource: Resource, body: Json | None) -> Json:
        """The object, made where it is missing."""
        if body is None:
            return {}
        namespace, name = self.experiment.metadata.namespace, body["metadata"]["name"]
        try:
            there = await self.services.api.get(resource, namespace, name)
        except Absent:
            with suppress(AlreadyExists):
                return await self.services.api.create(resource, namespace, body)
            there = await self.services.api.get(resource, namespace, name)
        if resource in {SERVICES, DEPLOYMENTS} and not self._owns(there):  # a claim may have been prepared
            raise ApiError(409, "NameTaken", f"a {there['kind']} {name} that is not this experiment's is there already")
        return there

    def _owns(self, document: Json) -> bool:
        """Whether the object is this very experiment's, or its Suggestion's, to whom Katib gave it."""
        owners = document["metadata"].get("ownerReferences") or ()
        katibs = any((owner["kind"], owner["name"]) == ("Suggestion", self.experiment.name) for owner in owners)
        return katibs or owned_by(document, self.experiment.metadata.uid)

    async def _why(self) -> str:
        """Why the Deployment is not available, as its pods tell."""
        name = service_name(self.experiment)
        selection = Selection(self.experiment.metadata.namespace, f"{LABEL_DEPLOYMENT}={name}")
        async for page in self.services.api.pages(PODS, selection):
            for trouble in (slim(item).trouble for item in page.items):
                if trouble is not None:
                    return f"Deployment {name} is not ready: {trouble.reason}: {trouble.message}"
        return f"Deployment {name} is not ready yet"


def _available(document: Json) -> bool:
    conditions = (document.get("status") or {}).get("conditions") or ()
    return any(entry["type"] == "Available" and entry["status"] == "True" for entry in conditions)
