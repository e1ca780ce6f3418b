"""A node that is played: a Node object, and the part of a kubelet's API that serves logs.

async with PlayedNode(kubeconfig) as node: pods made with node.name have the logs that `say` and `end` make.
"""

import asyncio
import ssl
import tempfile
from bisect import bisect_left
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from aiohttp import web
from support.cluster.async_client import AsyncClient
from support.cluster.certificates import Authority
from support.cluster.client import Refused
from support.cluster.processes import free_ports


@dataclass
class Log:
    """The lines of one container, stamped, with their times, and who waits for more."""

    lines: list = field(default_factory=list)
    times: list = field(default_factory=list)
    ended: bool = False
    hung_up: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self):
        self.more.set()
        self.more = asyncio.Event()


class PlayedNode:
    """Serves the logs of its pods, followed or not, through the API server."""

    def __init__(self, kubeconfig, name="played-node"):
        self.name = name
        self._client = AsyncClient(kubeconfig)
        self._logs = defaultdict(Log)
        self._runner = None

    def say(self, namespace, pod, text, container="main"):
        """One more line, of now."""
        log, now = self._logs[namespace, pod, container], datetime.now(UTC)
        log.times.append(now)
        log.lines.append(f"{now:%Y-%m-%dT%H:%M:%S.%f}000Z {text}\n".encode())
        log.wake()

    def end(self, namespace, pod, container="main"):
        """Whoever follows this log comes to its end."""
        log = self._logs[namespace, pod, container]
        log.ended = True
        log.wake()

    def hang_up(self, namespace, pod, container="main"):
        """Whoever follows this log loses the connection."""
        log = self._logs[namespace, pod, container]
        log.hung_up += 1
        log.wake()

    def forget(self, namespace, pod, container="main"):
        """The log is that of a new container."""
        self._logs.pop((namespace, pod, container), None)

    async def __aenter__(self):
        app = web.Application()
        app.router.add_get("/containerLogs/{namespace}/{pod}/{container}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        (port,) = free_ports(1)
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=_trust()).start()
        await self._client.__aenter__()
        await self._register(port)
        return self

    async def __aexit__(self, *problem):
        for log in self._logs.values():
            log.ended = True
            log.wake()
        await self._client.delete(f"/api/v1/nodes/{self.name}")
        await self._client.__aexit__()
        await self._runner.cleanup()

    async def _register(self, port):
        try:
            await self._client.post("/api/v1/nodes", {"metadata": {"name": self.name}})
        except Refused as refused:
            if refused.code != 409:
                raise
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "conditions": [{"type": "Ready", "status": "True"}],
        }
        await self._client.patch(f"/api/v1/nodes/{self.name}/status", {"status": status})

    async def _serve(self, request):
        found = request.match_info
        log = self._logs[found["namespace"], found["pod"], found["container"]]
        answer = web.StreamResponse(headers={"Content-Type": "text/plain"})
        with suppress(ConnectionResetError):  # whoever followed has gone
            await self._send(answer, request, log)
        return answer

    async def _send(self, answer, request, log):
        await answer.prepare(request)
        asked = request.query
        place, hung_up = _first(log, asked), log.hung_up
        while True:
            more = log.more
            text = b"".join(_written(log.lines[place:], asked))
            place = len(log.lines)
            if text:
                await answer.write(text)
            elif log.ended or log.hung_up > hung_up or asked.get("follow") != "true":
                return
            else:
                await more.wait()


def _first(log, asked):
    """The number of the first line that is wanted."""
    # The API server hands on whole seconds only.
    earlier = bisect_left(log.times, datetime.fromisoformat(asked["sinceTime"])) if "sinceTime" in asked else 0
    tail = int(asked.get("tailLines", len(log.lines)))
    return max(earlier, len(log.lines) - tail)


def _written(lines, asked):
    return lines if asked.get("timestamps") == "true" else [line.partition(b" ")[2] for line in lines]


def _trust():
    """Its certificate, which the API server does not check."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    with tempfile.TemporaryDirectory() as folder:
        pair = Authority(folder).server("kubelet", ["127.0.0.1"])
        context.load_cert_chain(pair.certificate, pair.key)
    return context
