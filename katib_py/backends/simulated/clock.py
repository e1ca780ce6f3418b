"""A clock that jumps to the next event instead of waiting for it."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

EPOCH: Final = 1_700_000_000.0  # where virtual time begins: any fixed moment, so that runs repeat


class VirtualClock:
    """Virtual seconds; events fire in order of their time, and of equal times in order of planning."""

    def __init__(self, start: float = EPOCH) -> None:
        self._now = start
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0

    def now(self) -> float:
        """Virtual seconds since the epoch."""
        return self._now

    def at(self, time: float, event: Callable[[], None]) -> None:
        """Have `event` called when the clock reaches `time`."""
        self._planned += 1
        heapq.heappush(self._events, (time, self._planned, event))

    async def wait(self, wake: asyncio.Event, seconds: float, busy: bool) -> None:
        """Move to the next event, at most `seconds` on; wait in real time while a suggestion service is being asked."""
        if busy:
            await wake.wait()
        if wake.is_set():
            await asyncio.sleep(0)
            return
        self._now = min(self._now + seconds, self._events[0][0] if self._events else float("inf"))
        while self._events and self._events[0][0] <= self._now:
            heapq.heappop(self._events)[2]()
