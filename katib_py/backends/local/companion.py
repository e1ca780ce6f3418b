"""The Custom collector beside a run: a process of its own that is given time after the run has ended."""

from __future__ import annotations

import asyncio
import os
from typing import Final

from katib_py.backends.local import adoption
from katib_py.backends.local.adoption import State
from katib_py.backends.local.ending import end
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.program import Program
from katib_py.backends.local.scan import Mark
from katib_py.backends.local.starter import Starter

AFTERWARDS_SECONDS: Final = 60.0


class Companion:
    """The collector of one run, in a folder below the run's own."""

    def __init__(self, run: RunFolder, program: Program, uid: str) -> None:
        """`uid` is the experiment's."""
        self.folder = folder_of(run)
        self._mark = Mark(self.folder.path, uid)
        self._program = program
        self._over = asyncio.Event()
        self._process: RunProcess | None = None

    async def start(self, starter: Starter) -> None:
        """Start it, once; raises OSError, StoreUnavailable, ServerGoneError."""
        if self.folder.create():
            self._program.prepare()
            self._follow(await starter.start(self.folder, 1, self._program))
        else:
            self.adopt()

    def adopt(self) -> None:
        """Take over the one that an earlier engine started."""
        found = adoption.find(self.folder)
        if found.state is State.ALIVE:
            self._follow(process := RunProcess(found.pid))
            process.watch(self.folder.claim_path(found.start))

    async def finish(self) -> None:
        """The run has ended: wait for what the collector still reports, then end it."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(AFTERWARDS_SECONDS):
                await self._over.wait()
        except TimeoutError:
            await end(self._process, self._mark, self._program.grace, "the trial has ended")

    def let_go(self) -> None:
        """Watch it no longer."""
        if self._process is not None:
            self._process.let_go()

    def _follow(self, process: RunProcess) -> None:
        self._process = process
        process.follow(self._over.set)


def folder_of(run: RunFolder) -> RunFolder:
    """The folder of the run's collector."""
    return RunFolder(os.path.join(run.path, "collector"))
