"""A run's process, watched until it is gone, signalled as a group."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psutil

from katib_py.backends.local.fork_server import end_run, reap

POLL_SECONDS: Final = 0.05  # where there is no pidfd


def inherit(claim: str, pid: int) -> None:
    """Do what a fork server that was killed would have done at the end of a run, if the run was left to us."""
    status = reap(pid)
    if status is not None:
        end_run(pid, claim, status)


class RunProcess:
    """The program of one run."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.alive = True
        self._on_end: Callable[[], None] | None = None
        self._claim = ""
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, on_end: Callable[[], None]) -> None:
        """Have `on_end` called once, when it is gone; now, where it is gone already."""
        self._on_end = on_end
        if not self.alive:
            on_end()

    def watch(self, claim: str) -> None:
        """See its end ourselves: its fork server is not ours, or gone. `claim` is the path of the run's claim."""
        self._claim = claim
        try:
            self._descriptor = os.pidfd_open(self.pid)
        except (AttributeError, ProcessLookupError, OSError):
            self._poll()
        else:
            self._loop.add_reader(self._descriptor, self.ended)

    @property
    def watched(self) -> bool:
        """Whether its end is seen here, and told by nobody."""
        return bool(self._claim)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if it is still there."""
        if self.alive:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def let_go(self) -> None:
        """Watch no longer; the run goes on."""
        self._on_end = None
        self._unwatch()

    def ended(self) -> None:
        """It is gone."""
        self._unwatch()
        if self._claim:
            inherit(self._claim, self.pid)
        self.alive = False
        if self._on_end is not None:
            self._on_end()

    def _unwatch(self) -> None:
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._timer is not None:
            self._timer.cancel()

    def _poll(self) -> None:
        if self._gone():
            self.ended()
        else:
            self._timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def _gone(self) -> bool:
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True
