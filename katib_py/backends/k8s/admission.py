"""The webhooks of a controller: every replica answers, the leader keeps the certificates."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.certificates import Certificates, Place, service_names
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.kinds import Discovery
from katib_py.backends.k8s.resources import PODS
from katib_py.backends.k8s.services import Services
from katib_py.backends.k8s.webhooks.experiments import ExperimentWebhook
from katib_py.backends.k8s.webhooks.pods import PodWebhook, trial_env
from katib_py.backends.k8s.webhooks.server import WebhookServer, webhook_app
from katib_py.core.katib_config import KatibConfig

OWN_IMAGE: Final = "katib-py:latest"
# A controller outside the cluster is called by these.
LOCAL_NAMES: Final = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class Admission:
    """What the webhooks are set up with; `db_manager` are the variables that lead a trial's pod there."""

    services: Services
    namespace: str
    db_manager: Mapping[str, str]
    inside: bool

    def certificates(self, api: Api) -> Certificates:
        """The certificates, in the Secret that katib-config names."""
        generator = self.config().init.cert_generator
        names = service_names(generator.webhook_service_name, self.namespace)
        own = names if self.inside else (*names, *LOCAL_NAMES)
        return Certificates(api, Place(self.namespace, generator.webhook_secret_name, own, generator.generate))

    def config(self) -> KatibConfig:
        """The configuration at the moment."""
        return self.services.config()

    @asynccontextmanager
    async def serving(self, api: Api, certificates: Certificates) -> AsyncIterator[WebhookServer]:
        """Answer while it is entered; raises OSError where the port cannot be had."""
        experiments = ExperimentWebhook(api, self.services.checks, self.services.problems)
        env = partial(trial_env, db_manager=self.db_manager)
        pods = PodWebhook(api, self.config, await self._image(api), env, Discovery(api).resource)
        port = self.config().init.controller.webhook_port
        async with WebhookServer(webhook_app(experiments, pods), certificates, port) as server:
            yield server

    async def _image(self, api: Api) -> str:
        """The image that we run from, which has our collector in it."""
        if not self.inside:
            return OWN_IMAGE
        try:
            pod = await api.get(PODS, self.namespace, os.environ.get("HOSTNAME") or socket.gethostname())
        except ApiError:
            return OWN_IMAGE
        return str(pod["spec"]["containers"][0]["image"])
