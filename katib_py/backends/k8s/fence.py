"""Whether this process may still write: a leader that slept, or was cut off, must not write what its successor undoes.

Kubernetes does not refuse the writes of somebody who has lost a lease. So a holder stops writing, by its own clock,
before anybody else can take the lease; what it had sent by then is given up by the kernel before that too.
"""

from __future__ import annotations

import math
import time
from typing import Final

from katib_py.backends.k8s.errors import Fenced

LEASE_SECONDS: Final = 12  # a holder that has not renewed for this long is gone
SURE_SECONDS: Final = 8.0  # for this long after a renewal was sent its holder may write
SENT_SECONDS: Final = LEASE_SECONDS - SURE_SECONDS  # what was not received after this is given up


def now() -> float:
    """Seconds that go on while the process is stopped and, on Linux, while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


class Fence:
    """Open until a moment of `now()`; for ever while nobody has said otherwise."""

    def __init__(self) -> None:
        self._until = math.inf

    def open(self, until: float) -> None:
        """Let writes pass until then."""
        self._until = until

    def shut(self) -> None:
        """Let no write pass any more."""
        self._until = -math.inf

    @property
    def left(self) -> float:
        """For how many seconds writes may pass; negative once they may not."""
        return self._until - now()

    def check(self) -> None:
        """Raise Fenced where a write may not pass."""
        if self.left <= 0:
            raise Fenced(0, "Fenced", "somebody else may lead by now, so nothing is written")
