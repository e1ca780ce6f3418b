"""The loop: look at what is, decide with pure functions, write it down, act on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.drive import REFRESH_SECONDS, Drive, Outcome
from katib_py.controller.journal import FLUSH_SECONDS
from katib_py.controller.platform import Platform
from katib_py.controller.ports import Key
from katib_py.core.errors import NotFound, StoreUnavailable

__all__ = ["Engine", "Outcome", "Platform"]

AGAIN_SECONDS: Final = 1.0  # how often a store is tried that fails us

log = logging.getLogger(__name__)


class Engine:
    """Drives one experiment to its end.

    `wake` is set by the platform whenever something may have changed. `watch` is called once a turn with the board, for
    whoever shows progress.
    """

    def __init__(
        self, platform: Platform, key: Key, wake: asyncio.Event, watch: Callable[[Board], None] | None = None
    ) -> None:
        self._platform = platform
        self._key = key
        self._wake = wake
        self._watch = watch
        self._interrupted = asyncio.Event()
        self._since: float | None = None  # when the store began to fail us

    def interrupt(self) -> None:
        """End the running trials, to be run again later, and return."""
        self._interrupted.set()
        self._wake.set()

    async def run(self) -> Outcome:
        """Drive the experiment until it has ended.

        Raises NotFound, InvalidInput, StoreUnavailable, and Conflict where somebody else drives it too: what we hold in
        memory is void then, and what the store has counts.
        """
        try:
            drive = await Drive.begin(self._platform, self._key, self._wake)
            try:
                await self._validate(drive)
                return await self._loop(drive)
            except NotFound:
                return Outcome.DELETED
            finally:
                await drive.close()
        finally:
            await self._platform.runner.close()
            await self._platform.suggesters.close()

    async def _validate(self, drive: Drive) -> None:
        """A service that does not answer is a wait like any other: shown, and ended by an interrupt."""
        if self._interrupted.is_set():
            return
        checking = asyncio.ensure_future(drive.validate())
        leaving = asyncio.ensure_future(self._interrupted.wait())
        try:
            while not (checking.done() or leaving.done()):
                await asyncio.wait({checking, leaving}, timeout=REFRESH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if await self._show(drive):
                    self._since = None
            if checking.done():
                await checking
        finally:
            checking.cancel()
            leaving.cancel()
            await asyncio.gather(checking, leaving, return_exceptions=True)

    async def _loop(self, drive: Drive) -> Outcome:
        clock = self._platform.clock
        while True:
            self._wake.clear()
            outcome, complete = await self._turn(drive)
            if not complete:
                # News would not help: what keeps us is the store, or the log.
                await clock.wait(asyncio.Event(), AGAIN_SECONDS, False)
                continue
            self._since = None
            if outcome is not None:
                return outcome
            drive.act(clock.now())
            pause = FLUSH_SECONDS if drive.journal.pending else REFRESH_SECONDS
            await clock.wait(self._wake, pause, drive.asking)

    async def _turn(self, drive: Drive) -> tuple[Outcome | None, bool]:
        """Why the loop is at its end, if it is, and whether all was looked at and written."""
        try:
            outcome = await drive.look(self._platform.clock.now(), self._interrupted.is_set())
        except StoreUnavailable as error:
            self._endure(error)
            await self._show(drive)
            return None, False
        return outcome, await self._show(drive)

    async def _show(self, drive: Drive) -> bool:
        """Whether what is due could be written."""
        try:
            await drive.write(self._platform.clock.now())
        except StoreUnavailable as error:
            self._endure(error)
            return False
        if self._watch is not None:
            self._watch(drive.board)
        return True

    def _endure(self, error: StoreUnavailable) -> None:
        """Raise the error once it has lasted for longer than the platform has patience."""
        now = self._platform.clock.now()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._platform.patience:
            raise error
        log.info("experiment %s waits: %s", self._key.name, error)
