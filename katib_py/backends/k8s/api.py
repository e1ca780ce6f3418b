"""The Kubernetes API in JSON types: authentication and connections are the official client's, objects stay dicts.

The official client's typed models cost several times the request itself, and lose what they do not know.
"""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client, config

from katib_py.backends.k8s.connection import (
    CALL_SECONDS,
    CONNECT_SECONDS,
    Call,
    Connection,
    body_of,
    unreachable,
)
from katib_py.backends.k8s.errors import Unreachable, error_of, error_of_event
from katib_py.backends.k8s.fence import Fence
from katib_py.backends.k8s.resources import Resource
from katib_py.core.errors import InvalidInput, Problem, show

Json = dict[str, Any]

WATCH_SECONDS: Final = 300  # how long the API server keeps a watch open before it is renewed
SILENT_SECONDS: Final = WATCH_SECONDS + 30.0
PAGE_SIZE: Final = 500
WRITES: Final = 32  # under way at a time, first come, first served; more would only wait inside the API server

MERGE: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
APPLY: Final = "application/apply-patch+yaml"


class WatchEvent(NamedTuple):
    """One event of a watch: ADDED, MODIFIED, DELETED or BOOKMARK."""

    type: str
    object: Json


class Page(NamedTuple):
    """Some of the objects of a list, and the resourceVersion that a watch of all goes on from."""

    items: list[Json]
    version: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which objects of a resource: of every namespace where it is empty; selectors as the API server reads them."""

    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def query(self) -> dict[str, str]:
        """The part of a URL's query that says so."""
        return {key: value for key, value in (("labelSelector", self.labels), ("fieldSelector", self.fields)) if value}


EVERYTHING: Final = Selection()


# Told of each request's method, status code and seconds.
Observe = Callable[[str, int, float], None]


def _unobserved(method: str, status: int, seconds: float) -> None:
    """Nobody wants to know."""


class Api:
    """Requests to one API server. Every method raises ApiError's kinds (see `errors`).

    `observe` is told of every request's method, status code and seconds.
    """

    def __init__(self, connection: Connection) -> None:
        self.observe: Observe = _unobserved
        self._connection = connection
        self._fence = Fence()
        self._writing = asyncio.Semaphore(WRITES)

    @classmethod
    async def connect(cls, kubeconfig: str | None = None) -> Api:
        """The API server of the kubeconfig file; without one that of the cluster that we run in, else kubectl's own.

        Raises InvalidInput where there is none.
        """
        configuration = client.Configuration()
        try:
            if kubeconfig is not None:
                await config.load_kube_config(kubeconfig, client_configuration=configuration)
            else:
                await _load_default(configuration)
        except (config.ConfigException, OSError, ValueError) as error:
            raise InvalidInput([Problem("--kubeconfig", f"no cluster can be found: {error}")]) from error
        return cls(Connection(configuration))

    async def close(self) -> None:
        """Close the connections."""
        await self._connection.close()

    def fenced(self, fence: Fence) -> Api:
        """The same connections, for somebody who may write only while the fence is open; others raise Fenced."""
        other = copy.copy(self)
        other._fence = fence
        return other

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """One object."""
        return await self.request("GET", resource.path(namespace, name))

    async def pages(self, resource: Resource, selection: Selection = EVERYTHING) -> AsyncIterator[Page]:
        """All objects of a selection, page by page, so that nobody need hold all of them; raises Expired between."""
        query: dict[str, str] = {**selection.query(), "limit": str(PAGE_SIZE)}
        while True:
            page = await self.request("GET", f"{resource.path(selection.namespace)}?{urlencode(query)}")
            metadata = page.get("metadata") or {}
            yield Page(page.get("items") or [], str(metadata.get("resourceVersion") or ""))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def create(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Create the object; raises AlreadyExists."""
        async with self._writing:
            return await self.request("POST", resource.path(namespace), body)

    async def replace(self, resource: Resource, namespace: str, body: Mapping[str, Any]) -> Json:
        """Put the object in the place of the one with its name and resourceVersion; raises Changed.

        It waits for no other write: leases are renewed so.
        """
        return await self.request("PUT", resource.path(namespace, body["metadata"]["name"]), body)

    async def patch(
        self,
        resource: Resource,
        where: tuple[str, str],
        body: Mapping[str, Any] | Sequence[Any],
        subresource: str = "",
    ) -> Json:
        """Change the object `where` (namespace, name): a mapping is a merge patch, a list a JSON Patch."""
        kind = MERGE if isinstance(body, Mapping) else JSON_PATCH
        async with self._writing:
            return await self.request("PATCH", resource.path(*where, subresource), body, kind)

    async def delete(
        self, resource: Resource, where: tuple[str, str], uid: str = "", policy: str = "Background"
    ) -> None:
        """Delete the object `where` (namespace, name); with `uid` only that very one, else raises Changed."""
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": policy}
        if uid:
            body["preconditions"] = {"uid": uid}
        async with self._writing:
            await self.request("DELETE", resource.path(*where), body)

    @asynccontextmanager
    async def watch(
        self, resource: Resource, version: str, selection: Selection = EVERYTHING
    ) -> AsyncIterator[AsyncIterator[WatchEvent]]:
        """What happens after that resourceVersion, until the API server ends the watch; raises Expired."""
        query = {
            **selection.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with self.stream(f"{resource.path(selection.namespace)}?{urlencode(query)}", SILENT_SECONDS) as response:
            yield _events(response)

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content: str = "application/json",
    ) -> Json:
        """One request and the JSON of its answer."""
        began = time.monotonic()
        call = Call(method, path, None if body is None else body_of(body), content)
        response = await self._connection.send(call, self._fence, aiohttp.ClientTimeout(CALL_SECONDS))
        try:
            payload = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error
        self.observe(method, response.status, time.monotonic() - began)
        if response.status >= 400:
            raise error_of(response.status, payload)
        return _parsed(payload) if payload else {}

    @asynccontextmanager
    async def stream(self, path: str, silence: float | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """A GET whose answer is read as it comes; `silence` is how many seconds it may say nothing."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        response = await self._connection.send(Call("GET", path), self._fence, timeout)
        try:
            if response.status >= 400:
                raise error_of(response.status, await response.read())
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error
        finally:
            response.close()


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[WatchEvent]:
    async for line in _lines(response):
        event = _parsed(line)
        if event.get("type") == "ERROR":
            raise error_of_event(event["object"])
        yield WatchEvent(event["type"], event["object"])


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a streamed answer; an object may be longer than what a line of aiohttp's may be."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line


def _parsed(text: bytes) -> Json:
    """An answer; what is no JSON came from somebody between us and the API server."""
    try:
        parsed = json.loads(text)
    except ValueError as error:
        raise unreachable(error) from error
    if not isinstance(parsed, dict):
        raise Unreachable(0, "Unreachable", f"the API server answers {show(parsed)}, which is no object")
    return parsed


async def _load_default(configuration: client.Configuration) -> None:
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)
