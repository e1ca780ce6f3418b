"""The webhooks' certificates: kept in a Secret, renewed by whoever leads, served by every replica without a restart."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, AlreadyExists, ApiError, Changed, Refused
from katib_py.backends.k8s.pki import TERMS, Bundle, Pair, Terms, renewed
from katib_py.backends.k8s.resources import MUTATING_WEBHOOKS, SECRETS, VALIDATING_WEBHOOKS, Resource
from katib_py.core.json_patch import pointer

EVERY_SECONDS: Final = 10.0
CONFIGURATION: Final = "katib.kubeflow.org"
WEBHOOKS: Final[tuple[Resource, ...]] = (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS)
# Whoever else makes a Secret's certificates says so in its annotations, and would undo what we write.
OTHERS: Final = ("cert-manager.io/", "service.beta.openshift.io/", "service.alpha.openshift.io/")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the certificates are kept, and the names that the API server calls the webhooks by.

    `generate`: the controller makes them; else somebody else does, and they are only read.
    """

    namespace: str
    secret: str
    names: tuple[str, ...]
    generate: bool = True
    configuration: str = CONFIGURATION


def service_names(service: str, namespace: str) -> tuple[str, ...]:
    """The names of a Service; the API server uses the first."""
    return (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}")


class Certificates:
    """One replica's view of them. `context` is what a server uses; it always has the newest certificate."""

    def __init__(self, api: Api, place: Place, terms: Terms = TERMS, every: float = EVERY_SECONDS) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._api = api
        self._place = place
        self._terms = terms
        self._every = every
        self._loaded: Pair | None = None
        self._ready = asyncio.Event()
        self._said: dict[str, str] = {}

    async def ready(self) -> None:
        """Return once there is a certificate to serve with."""
        await self._ready.wait()

    async def follow(self) -> None:
        """Serve with what the Secret holds; every replica does this, and it never returns."""
        while True:
            try:
                self._load(await self._read())
                self._say("read", "")
            except ApiError as error:
                self._say("read", f"the webhooks' certificates cannot be read: {error}")
            # Until there is one, the leader may write it at any moment.
            await asyncio.sleep(self._every if self._ready.is_set() else min(self._every, 1.0))

    async def keep(self) -> None:
        """Make and renew them, and have the API server trust them; only the leader does this, and it never returns."""
        while True:
            again = False
            try:
                again = await self.turn()
                self._say("kept", "")
            except (Changed, AlreadyExists):
                again = True  # another one was leader a moment ago
            except ApiError as error:
                self._say("kept", f"the webhooks' certificates cannot be kept: {error}")
            await asyncio.sleep(0 if again else self._every)

    async def turn(self) -> bool:
        """One look, and what is due; whether something was written that the next turn goes on from."""
        secret = await self._read()
        self._load(secret)
        if not self._place.generate or _anothers(secret):
            return False
        bundle = Bundle.of(_data(secret))
        now = datetime.now(UTC)
        trusted = bundle is not None and await self._have_trusted(bundle.trusted(now))
        new = renewed(bundle, self._place.names, now, trusted, self._terms)
        if new is None:
            return False
        self._load(await self._write(secret, new))
        return True

    async def _read(self) -> Json | None:
        try:
            return await self._api.get(SECRETS, self._place.namespace, self._place.secret)
        except Absent:
            return None

    async def _write(self, secret: Json | None, bundle: Bundle) -> Json:
        """Store the bundle; raises Changed or AlreadyExists where another replica was faster."""
        namespace, name = self._place.namespace, self._place.secret
        if secret is None:
            log.info("the webhooks' certificates are made, in the Secret %s/%s", namespace, name)
            metadata = {"name": name, "namespace": namespace}
            body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": bundle.data()}
            return await self._api.create(SECRETS, namespace, body)
        log.info("the webhooks' certificates are renewed, in the Secret %s/%s", namespace, name)
        version = {"resourceVersion": secret["metadata"]["resourceVersion"]}
        return await self._api.patch(SECRETS, (namespace, name), {"metadata": version, "data": bundle.data()})

    async def _have_trusted(self, authorities: bytes) -> bool:
        """Have the webhook configurations name these authorities; whether they did already, so that all know it."""
        known = True
        for resource in WEBHOOKS:
            try:
                found = await self._api.get(resource, "", self._place.configuration)
                if patch := bundle_patch(found, base64.b64encode(authorities).decode()):
                    known = False
                    await self._api.patch(resource, ("", self._place.configuration), patch)
                self._say(resource.plural, "")
            except Absent:
                continue  # nobody calls us by it
            except Refused as error:
                known = False
                self._say(resource.plural, f"the {resource.kind} cannot be told whom to trust: {error}")
        return known

    def _load(self, secret: Mapping[str, Any] | None) -> None:
        data = _data(secret)
        try:
            pair = Pair(base64.b64decode(data["tls.crt"]), base64.b64decode(data["tls.key"]))
            if pair == self._loaded or not all(pair):
                return
            with _file(pair.certificate + b"\n" + pair.key) as path:
                self.context.load_cert_chain(path)
        except (KeyError, ValueError, ssl.SSLError) as error:
            if secret is not None and data:
                self._say("used", f"the Secret {self._place.secret} holds no certificate that can be used: {error!r}")
            return
        self._loaded = pair
        self._ready.set()

    def _say(self, what: str, trouble: str) -> None:
        """Log a trouble of this kind, once while it lasts."""
        if trouble and trouble != self._said.get(what):
            log.warning("%s", trouble)
        self._said[what] = trouble


def bundle_patch(configuration: Mapping[str, Any], bundle: str) -> list[Json]:
    """The JSON Patch that makes every webhook of a configuration trust the bundle; empty where each does."""
    patch: list[Json] = []
    for index, webhook in enumerate(configuration.get("webhooks") or ()):
        if webhook["clientConfig"].get("caBundle") != bundle:
            # Another hand may have put other webhooks at these places meanwhile.
            patch.append({"op": "test", "path": pointer("webhooks", index, "name"), "value": webhook["name"]})
            path = pointer("webhooks", index, "clientConfig", "caBundle")
            patch.append({"op": "add", "path": path, "value": bundle})
    return patch


def _data(secret: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return (secret or {}).get("data") or {}


def _anothers(secret: Mapping[str, Any] | None) -> bool:
    annotations = ((secret or {}).get("metadata") or {}).get("annotations") or {}
    return any(key.startswith(OTHERS) for key in annotations)


@contextmanager
def _file(content: bytes) -> Iterator[str]:
    """The content under a path, without a disk where the system can: a container's may be read-only."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("certificate")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        yield file.name
