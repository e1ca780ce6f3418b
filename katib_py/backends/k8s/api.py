"""The Kubernetes API in JSON types: authentication and connections are the official client's, objects stay dicts.

The official client's typed models cost several times the request itself, and lose what they do not know.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client, config

from katib_py.backends.k8s.errors import ApiError, Unreachable, error_of, error_of_event
from katib_py.backends.k8s.resources import Resource
from katib_py.core.errors import InvalidInput, Problem

Json = dict[str, Any]

CALL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
WATCH_SECONDS: Final = 300  # how long the API server keeps a watch open before it is renewed
SILENT_SECONDS: Final = WATCH_SECONDS + 30.0
PAGE_SIZE: Final = 500
CONNECTIONS: Final = 256  # watches and followed logs hold one each
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


class Api:
    """Requests to one API server. Every method raises ApiError's kinds (see `errors`)."""

    def __init__(self, configuration: client.Configuration) -> None:
        configuration.connection_pool_maxsize = CONNECTIONS
        # The session would look for a proxy and for passwords anew with every request, in a thread.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.proxy = configuration.proxy or _proxy_of_environment(configuration.host)
        self._client = client.ApiClient(configuration)
        self._configuration = configuration
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
        return cls(configuration)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

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

    async def watch(
        self, resource: Resource, version: str, selection: Selection = EVERYTHING
    ) -> AsyncIterator[WatchEvent]:
        """What happens after that resourceVersion, until the API server ends the watch; raises Expired."""
        query = {
            **selection.query(),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        async with self.stream(f"{resource.path(selection.namespace)}?{urlencode(query)}", SILENT_SECONDS) as response:
            async for line in _lines(response):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise error_of_event(event["object"])
                yield WatchEvent(event["type"], event["object"])

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | Sequence[Any] | None = None,
        content: str = "application/json",
    ) -> Json:
        """One request and the JSON of its answer."""
        response = await self._send(method, path, body, content, aiohttp.ClientTimeout(CALL_SECONDS))
        try:
            payload = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        if response.status >= 400:
            raise error_of(response.status, payload)
        answer: Json = json.loads(payload) if payload else {}
        return answer

    @asynccontextmanager
    async def stream(self, path: str, silence: float | None) -> AsyncIterator[aiohttp.ClientResponse]:
        """A GET whose answer is read as it comes; `silence` is how many seconds it may say nothing."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence)
        response = await self._send("GET", path, None, "application/json", timeout)
        try:
            if response.status >= 400:
                raise error_of(response.status, await response.read())
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        finally:
            response.close()

    async def _send(
        self, method: str, path: str, body: Any, content: str, timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": content, "Accept": "application/json", **await self._authorization()}
        url = f"{self._configuration.host}{path}"
        try:
            answer = await self._client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from error
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _authorization(self) -> dict[str, str]:
        settings = (await self._configuration.auth_settings()).get("BearerToken")
        return {str(settings["key"]): str(settings["value"])} if settings else {}


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The lines of a streamed answer; an object may be longer than what a line of aiohttp's may be."""
    held = bytearray()
    async for chunk in response.content.iter_any():
        held += chunk
        *lines, rest = bytes(held).split(b"\n") if b"\n" in chunk else [bytes(held)]
        if lines:
            held = bytearray(rest)
        for line in lines:
            if line:
                yield line


def _proxy_of_environment(url: str) -> str | None:
    target = urlsplit(url)
    return None if proxy_bypass(target.hostname or "") else getproxies().get(target.scheme)


async def _load_default(configuration: client.Configuration) -> None:
    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)


def _unreachable(error: BaseException) -> ApiError:
    words = str(error) or type(error).__name__
    return Unreachable(0, "Unreachable", f"the API server does not answer: {words}")
