"""The suggestion service of a local engine: a process of its own on a Unix socket, started when it is first needed."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc

from katib_py.backends.local.home import Home
from katib_py.backends.local.service import start_service
from katib_py.controller.ports import EarlyStopping
from katib_py.core.experiment import Experiment
from katib_py.wire import rpc

MODULE: Final = "suggestion_services"
LONGEST_SOCKET: Final = 100  # the kernel takes 107 bytes on Linux and 103 on macOS
CLOSE_SECONDS: Final = 5.0


class LocalSuggesters:
    """The Suggesters port: one service for every algorithm, which ends with us and is started again when it died.

    Each start gets a socket of its own, so a channel never reaches a predecessor.
    """

    def __init__(self, home: Home, interceptors: Sequence[Any] = ()) -> None:
        self._home = home
        self._interceptors = interceptors
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Any = None
        self._pipe: int | None = None
        self._starts = 0
        self._lock = asyncio.Lock()
        self._folder: Path | None = None

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the service; raises ServiceUnavailable where it cannot be started."""
        async with self._lock:
            if self._process is None or self._process.poll() is not None:
                await self._stop()
                await self._start()
            return self._channel

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """None: the engine's own stoppers decide."""
        return None

    async def close(self) -> None:
        """End the service."""
        async with self._lock:
            await self._stop()
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    async def _start(self) -> None:
        socket = self._socket()
        reading, self._pipe = os.pipe()
        try:
            self._process, address = await start_service(
                MODULE, ["--listen", f"unix:{socket}"], reading, self._home.root / "suggestion.log"
            )
        finally:
            os.close(reading)
        self._channel = grpc.aio.insecure_channel(address, options=rpc.CHANNEL_OPTIONS, interceptors=self._interceptors)

    def _socket(self) -> Path:
        self._starts += 1
        name = f"suggestion-{os.getpid()}-{self._starts}.sock"
        path = self._home.root / name
        if len(os.fsencode(path)) <= LONGEST_SOCKET:
            return path
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="katib-", dir=_short_folder()))
        return self._folder / name

    async def _stop(self) -> None:
        if self._channel is not None:
            await self._channel.close()
            self._channel = None
        if self._pipe is not None:
            # Whoever reads the other end sees that its parent has ended.
            os.close(self._pipe)
            self._pipe = None
        if self._process is not None:
            process, self._process = self._process, None
            await asyncio.to_thread(_end, process)


def _short_folder() -> str | None:
    """None for TMPDIR, unless that is long itself."""
    room = LONGEST_SOCKET - len("/katib-12345678/suggestion-1234567-1234.sock")
    return None if len(os.fsencode(tempfile.gettempdir())) <= room else "/tmp"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(CLOSE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
