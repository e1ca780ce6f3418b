"""Which process holds something in the database, recognisable after its number was given to another."""

from __future__ import annotations

import os
import socket
from typing import Final, NamedTuple

import psutil

# The clock is adjusted now and then, and with it the start time that psutil computes from the time of boot.
CLOCK_SECONDS: Final = 1.0


class Holder(NamedTuple):
    """A process of a machine; `started` is seconds since the epoch."""

    host: str
    pid: int
    started: float

    @classmethod
    def current(cls) -> Holder:
        """This process."""
        return cls(socket.gethostname(), os.getpid(), psutil.Process().create_time())

    @property
    def here(self) -> bool:
        """Whether it is, or was, a process of this machine."""
        return self.host == socket.gethostname()

    def halted(self) -> bool:
        """Whether it is a process of this machine that was stopped, as by Ctrl-Z."""
        try:
            return self.here and self.alive() and psutil.Process(self.pid).status() == psutil.STATUS_STOPPED
        except psutil.Error:
            return False

    def alive(self) -> bool:
        """Whether the process is there; of another machine nothing is known, so it counts as there."""
        if not self.here:
            return True
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < CLOCK_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False
