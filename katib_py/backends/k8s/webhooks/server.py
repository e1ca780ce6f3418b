"""The webhooks' HTTPS server, on the running loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Final

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from katib_py.backends.k8s.certificates import Certificates
from katib_py.backends.k8s.http_server import EVERY_ADDRESS, QuietServer, listening
from katib_py.backends.k8s.webhooks.configurations import MUTATE_EXPERIMENT, MUTATE_POD, VALIDATE_EXPERIMENT
from katib_py.backends.k8s.webhooks.experiments import ExperimentWebhook
from katib_py.backends.k8s.webhooks.pods import PodWebhook
from katib_py.backends.k8s.webhooks.reviews import Answer, Question, read_question, write_answer

GRACE_SECONDS: Final = 3
IDLE_SECONDS: Final = 120  # API servers keep their connections, and reuse one for about this long

log = logging.getLogger(__name__)


def webhook_app(experiments: ExperimentWebhook, pods: PodWebhook) -> FastAPI:
    """The three paths of Katib's webhooks."""
    app = FastAPI(openapi_url=None)
    for path, handle in (
        (MUTATE_EXPERIMENT, experiments.mutate),
        (VALIDATE_EXPERIMENT, experiments.validate),
        (MUTATE_POD, pods.mutate),
    ):
        app.add_api_route(path, _endpoint(handle), methods=["POST"])
    return app


def _endpoint(handle: Callable[[Question], Awaitable[Answer]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            question = read_question(await request.json())
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse(write_answer(question, await handle(question)))

    return answer


class WebhookServer:
    """Serves the app while it is entered, from when there is a certificate; `serving` says whether it does.

    `address` is where: port 0 takes a free one.
    """

    def __init__(self, app: FastAPI, certificates: Certificates, port: int, host: str = EVERY_ADDRESS) -> None:
        self._certificates = certificates
        self._server = QuietServer(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_keep_alive=IDLE_SECONDS,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._listen = (host, port)
        self._socket: socket.socket | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def serving(self) -> bool:
        """Whether it answers."""
        return self._server.started and not self._server.should_exit

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that it listens on."""
        assert self._socket is not None
        host, port, *_ = self._socket.getsockname()
        return host, port

    async def __aenter__(self) -> WebhookServer:
        """Begin to listen; raises OSError where the port cannot be had."""
        self._socket = listening(*self._listen)
        self._tasks = [asyncio.create_task(self._certificates.follow()), asyncio.create_task(self._serve())]
        return self

    async def __aexit__(self, *problem: object) -> None:
        follower, serving = self._tasks
        follower.cancel()
        self._server.should_exit = True
        if not self._server.started:
            serving.cancel()
        await asyncio.gather(follower, serving, return_exceptions=True)
        assert self._socket is not None
        self._socket.close()

    async def _serve(self) -> None:
        await self._certificates.ready()
        assert self._socket is not None
        self._server.config.load()
        self._server.config.ssl = self._certificates.context
        log.info("webhooks answer on port %d", self.address[1])
        await self._server.serve([self._socket])
