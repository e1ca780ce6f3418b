"""The controller's end of the fork server: runs are started by it, and their ends heard of from it."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from typing import Final

from katib_py.backends.local import fork_server
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.program import Program

CLOSE_SECONDS: Final = 5.0
DEATHS: Final = 3  # in a row, without a start between them


class ServerGoneError(Exception):
    """The fork server died before it answered: the run's folder tells whether it was started."""


class Starter:
    """Starts runs through a fork server of our own, which is started with the first run, and again when it died."""

    def __init__(self) -> None:
        self._link: _Link | None = None
        self._lock = asyncio.Lock()
        self._deaths = 0

    async def start(self, folder: RunFolder, number: int, program: Program) -> RunProcess:
        """Start the program as number `number` in the folder; raises OSError, ValueError, ServerGoneError."""
        link = self._link
        if link is None or link.gone:
            link = await self._connect()
        _refuse_unspeakable(program)
        order = {
            "claim": folder.claim_path(number),
            "output": folder.output,
            "cwd": program.cwd,
            "command": list(program.command),
            "env": dict(program.env),
        }
        process = await link.order(order)
        self._deaths = 0
        return process

    async def close(self) -> None:
        """Let go of the server, which ends with its last run."""
        if self._link is not None:
            await self._link.close()
            self._link = None
            fork_server.become_subreaper(False)

    async def _connect(self) -> _Link:
        async with self._lock:
            if self._link is not None and not self._link.gone:
                return self._link
            if self._link is not None:
                self._deaths += 1
                await self._link.close()
            if self._deaths >= DEATHS:
                raise OSError(f"the process that starts runs died {self._deaths} times in a row")
            self._link = await _connected()
            return self._link


class _Link(asyncio.Protocol):
    """The socket to one fork server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.gone = self._closing = False
        self._process = process
        self._transport: asyncio.WriteTransport | None = None
        self._rest = b""
        self._count = 0
        self._ordered: dict[int, tuple[str, asyncio.Future[RunProcess]]] = {}
        self._running: dict[int, tuple[str, RunProcess]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def order(self, order: Mapping[str, object]) -> asyncio.Future[RunProcess]:
        """Send an order; the process once it is started."""
        assert self._transport is not None
        text = json.dumps({**order, "id": self._count})
        future: asyncio.Future[RunProcess] = asyncio.get_running_loop().create_future()
        self._ordered[self._count] = str(order["claim"]), future
        self._count += 1
        self._transport.write(text.encode() + b"\n")
        return future

    def data_received(self, data: bytes) -> None:
        """Answers: what was started, what has ended, what could not be started."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            word, number, *rest = line.decode().split(" ", 2)
            self._answered(word, int(number), rest[0] if rest else "")

    def connection_lost(self, error: Exception | None) -> None:
        """The server is gone: its runs go on as our children, where we are their subreaper."""
        if self._closing:
            return
        self.gone = True
        for claim, process in self._running.values():
            process.watch(claim)
        for _, future in self._ordered.values():
            if not future.done():
                future.set_exception(ServerGoneError())

    async def close(self) -> None:
        """Close the socket: the server ends with its last run, and is waited for where that is now."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()
        if self._running and not self.gone:
            self._process.returncode = 0  # it is nobody's child when we are gone, and no mistake
        else:
            await asyncio.to_thread(_reap, self._process)
        self._running.clear()

    def _answered(self, word: str, number: int, rest: str) -> None:
        if word == "ended":
            self._running.pop(number)[1].ended()
            return
        claim, future = self._ordered.pop(number)
        if word == "started":
            process = RunProcess(int(rest))
            self._running[number] = claim, process
            if not future.done():
                future.set_result(process)
        elif not future.done():
            future.set_exception(OSError(rest))


async def _connected() -> _Link:
    fork_server.become_subreaper(True)
    ours, theirs = socket.socketpair()
    theirs.set_inheritable(True)
    try:
        # What is inheritable is for the runs to inherit: the pipe by which a db-manager sees that somebody reports.
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", fork_server.__file__, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=False,
        )
    finally:
        theirs.close()
    _, link = await asyncio.get_running_loop().create_connection(lambda: _Link(process), sock=ours)
    return link


def _refuse_unspeakable(program: Program) -> None:
    """Raise ValueError for text that no process can be given."""
    if any("\0" in text for text in (*program.command, program.cwd, *program.env, *program.env.values())):
        raise ValueError("embedded null byte")
    for name in program.env:
        if not name or "=" in name:
            raise ValueError(f"illegal environment variable name {name!r}")


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
