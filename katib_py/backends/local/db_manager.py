"""The db-manager of a work folder: where pushing trials report, for as long as any of them or an engine is there.

Engines and pushing trials hold a named pipe open for writing, and the manager reads it: when the last of them is gone
it sees the end and ends too. An engine that was killed leaves the manager to its trials, and the next engine finds it
by the pipe and the address beside it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from katib_py.backends.local.home import Home
from katib_py.backends.local.service import start_service
from katib_py.core import names
from katib_py.core.errors import ServiceUnavailable

MODULE: Final = "katib_py.observations"
LOOPBACK: Final = "127.0.0.1"
WATCH_SECONDS: Final = 1.0
CALL_SECONDS: Final = 5.0

Address = tuple[str, int]


class DbManager:
    """The manager of one work folder and database, found or started, and started again when it died."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pipe_path = home.root / "db-manager.pipe"
        self._address_path = home.root / "db-manager.json"
        self._held: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> Address:
        """Have it running; raises ServiceUnavailable. Its address stays the same while a trial or engine is there."""
        address = await self._found() or await self._started(None)
        self._watch = asyncio.create_task(self._keep(address))
        return address

    async def close(self) -> None:
        """Let go of it: it stays while a pushing trial runs, or another engine."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        self._let_go()
        if self._process is not None:
            await asyncio.to_thread(_reap, self._process)

    async def _found(self) -> Address | None:
        """The manager that is there already, if it serves this database."""
        with suppress(OSError, ValueError, KeyError):
            known = json.loads(self._address_path.read_text())
            if known["db"] != _digest(self._home.db_url):
                return None
            # Opening fails where nobody reads; once it is open the manager cannot end unnoticed.
            self._hold()
            address = (str(known["host"]), int(known["port"]))
            if await _serves(address):
                return address
            self._let_go()
        return None

    async def _started(self, again: Address | None) -> Address:
        """Start one, at the address that running trials know if there is one."""
        reading = self._pipe()
        try:
            self._hold()
            os.set_blocking(reading, True)
            host, port = again or (LOOPBACK, 0)
            # The trials of this machine have no tokens.
            secret = {names.ENV_DB_URL: self._home.db_url, names.ENV_TOKEN_KEY: ""}
            arguments = ["--listen", f"{host}:{port}"]
            log = self._home.root / "db-manager.log"
            self._process, text = await start_service(MODULE, arguments, reading, log, secret)
        finally:
            os.close(reading)
        address = (LOOPBACK, int(text.rpartition(":")[2]))
        _write(self._address_path, {"host": address[0], "port": address[1], "db": _digest(self._home.db_url)})
        return address

    def _pipe(self) -> int:
        """The reading end of the pipe, made where it is not there."""
        try:
            self._home.root.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.mkfifo(self._pipe_path, 0o600)
            return os.open(self._pipe_path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError as error:
            words = f"{MODULE} did not start: {self._pipe_path} cannot be made: {error.strerror}"
            raise ServiceUnavailable(words) from error

    def _hold(self) -> None:
        """Hold the pipe, and let the trials that we start inherit it."""
        self._let_go()
        self._held = os.open(self._pipe_path, os.O_WRONLY | os.O_NONBLOCK)
        os.set_inheritable(self._held, True)

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    async def _keep(self, address: Address) -> None:
        """Start it again, at the same address, when it died."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            if self._process is not None and self._process.poll() is None:
                continue
            if self._process is None and await _serves(address):
                continue
            with suppress(ServiceUnavailable, OSError):
                await self._started(address)


def _digest(url: str) -> str:
    """What tells two databases apart and no password."""
    return hashlib.sha256(url.encode()).hexdigest()


async def _serves(address: Address) -> bool:
    async with grpc.aio.insecure_channel(f"{address[0]}:{address[1]}") as channel:
        try:
            await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=CALL_SECONDS)
        except grpc.aio.AioRpcError:
            return False
    return True


def _write(path: Path, content: dict[str, object]) -> None:
    """Write whole or not at all: another engine may read at any time."""
    draft = path.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(content))
    draft.replace(path)


def _reap(process: subprocess.Popen[bytes]) -> None:
    """Wait a moment for its end; one that stays for a trial is left alone."""
    try:
        process.wait(CALL_SECONDS)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it is nobody's child when we are gone, and no mistake
