"""What a kubelet and Prometheus ask over plain HTTP: is it alive, is it ready, how much has it done."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import uvicorn
from fastapi import FastAPI, Response

from katib_py.backends.k8s.http_server import EVERY_ADDRESS, QuietServer, listening
from katib_py.core.errors import InvalidInput, Problem, show

GRACE_SECONDS: Final = 2


def health_app(ready: Callable[[], str]) -> FastAPI:
    """/healthz answers while the loop turns; /readyz says what is not `ready` yet, if something is not."""
    app = FastAPI(openapi_url=None)

    @app.get("/healthz")
    async def healthz() -> Response:
        return Response("ok", media_type="text/plain")

    @app.get("/readyz")
    async def readyz() -> Response:
        missing = ready()
        return Response(missing or "ok", 503 if missing else 200, media_type="text/plain")

    return app


def metrics_app(text: Callable[[], bytes]) -> FastAPI:
    """/metrics, in Prometheus' text format."""
    app = FastAPI(openapi_url=None)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


def parse_address(text: str, field: str) -> tuple[str, int] | None:
    """HOST:PORT, every address where the host is empty; None for "0", which serves nothing. Raises InvalidInput."""
    if text == "0":
        return None
    host, _, port = text.rpartition(":")
    if not port.isdecimal():
        raise InvalidInput([Problem(field, f"is {show(text)}; must be HOST:PORT or :PORT")])
    return host or EVERY_ADDRESS, int(port)


class Endpoint:
    """Serves an app while it is entered."""

    def __init__(self, app: FastAPI, address: tuple[str, int]) -> None:
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=GRACE_SECONDS
        )
        self._server = QuietServer(config)
        self._address = address
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Endpoint:
        """Begin to listen; raises OSError where the port cannot be had."""
        self._socket = listening(*self._address)
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        return self

    async def __aexit__(self, *problem: object) -> None:
        self._server.should_exit = True
        assert self._task is not None
        assert self._socket is not None
        await asyncio.gather(self._task, return_exceptions=True)
        self._socket.close()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])
