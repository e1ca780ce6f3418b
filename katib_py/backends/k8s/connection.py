"""Connections to one API server: what is sent, how long is waited, and what a busy server asks for."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from kubernetes.aio import client

from katib_py.backends.k8s.errors import ApiError, Unreachable
from katib_py.backends.k8s.fence import SENT_SECONDS, Fence

CALL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
CONNECTIONS: Final = 320  # watches and followed logs hold one each
BUFFER_BYTES: Final = 2 << 20
PAUSE_SECONDS: Final = 1.0  # after "too many requests", where the server does not say how long

# A server that has gone without a word is noticed within half a minute, also by who only listens.
PROBES: Final = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}


class Call(NamedTuple):
    """A request: `path` with its query, and the body as it is sent."""

    method: str
    path: str
    body: bytes | None = None
    content: str = "application/json"


class Connection:
    """Sends calls. Authentication and trust are those of the official client's configuration."""

    def __init__(self, configuration: client.Configuration) -> None:
        trust = client.ApiClient(configuration).rest_client.ssl_context
        connector = aiohttp.TCPConnector(limit=CONNECTIONS, ssl=trust, socket_factory=_socket)
        # One that trusts the environment looks for a proxy and for passwords anew with every request, in a thread.
        self._session = aiohttp.ClientSession(connector=connector, read_bufsize=BUFFER_BYTES)
        self._proxy = configuration.proxy or _proxy_of_environment(configuration.host)
        self._configuration = configuration

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def send(self, call: Call, fence: Fence, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        """The answer, to be read or closed; raises Unreachable and, where the fence is shut for a write, Fenced.

        A server that is too busy says when to come again, and did nothing: it is asked again.
        """
        deadline = asyncio.get_running_loop().time() + CALL_SECONDS
        while True:
            response = await self._attempt(call, fence, timeout)
            pause = busy_seconds(response.status, response.headers.get("Retry-After"))
            if pause is None or asyncio.get_running_loop().time() + pause > deadline:
                return response
            response.close()
            await asyncio.sleep(pause)

    async def _attempt(self, call: Call, fence: Fence, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientResponse:
        headers = {"Content-Type": call.content, "Accept": "application/json", **await self._authorization()}
        body = None if call.body is None else FencedBody(call.body, fence)
        if body is not None:
            fence.check()
        try:
            return await self._session.request(
                call.method,
                f"{self._configuration.host}{call.path}",
                headers=headers,
                data=body,
                timeout=timeout,
                proxy=self._proxy,
                proxy_headers=self._configuration.proxy_headers,
                server_hostname=self._configuration.tls_server_name,
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error

    async def _authorization(self) -> dict[str, str]:
        settings = (await self._configuration.auth_settings()).get("BearerToken")
        return {str(settings["key"]): str(settings["value"])} if settings else {}


class FencedBody(aiohttp.BytesPayload):
    """A body that is sent only while the fence is open.

    It is asked at the last moment: waiting for a connection takes time, and a request without its body does nothing.
    """

    def __init__(self, value: bytes, fence: Fence) -> None:
        super().__init__(value)
        self._fence = fence

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Send it; raises Fenced."""
        self._fence.check()
        await super().write_with_length(writer, content_length)


def body_of(document: Any) -> bytes:
    """A body as it is sent."""
    return json.dumps(document, separators=(",", ":")).encode()


def busy_seconds(status: int, retry_after: str | None) -> float | None:
    """How long a server wants to be left alone; None where it does not say that it did nothing."""
    if status != 429 and status < 500:
        return None
    if retry_after is not None and retry_after.isdecimal():
        return float(retry_after)
    return PAUSE_SECONDS if status == 429 else None


def unreachable(error: BaseException) -> ApiError:
    """What a failed connection means."""
    words = str(error) or type(error).__name__
    return Unreachable(0, "Unreachable", f"the API server does not answer: {words}")


def _proxy_of_environment(url: str) -> str | None:
    target = urlsplit(url)
    return None if proxy_bypass(target.hostname or "") else getproxies().get(target.scheme)


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {**PROBES, "TCP_USER_TIMEOUT": int(SENT_SECONDS * 1000)}
    for name, value in options.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
