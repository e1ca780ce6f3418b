"""The end of the log, asked for once a second however many follow it."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Collection
from typing import Final, Protocol

from katib_py.observations.log import Reported
from katib_py.observations.remote import Arrived

INTERVAL_SECONDS: Final = 1.0
KEPT: Final = 100_000  # rows, of about 200 bytes


class Source(Protocol):
    """The log that is followed, such as RemoteLog."""

    async def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor of these trials, and the new cursor."""

    async def follow_all(self, cursor: int, namespace: str = "") -> tuple[int, list[Arrived]]:
        """What came after the cursor of every trial, of one namespace or of all."""


class Tail:
    """What all experiments of a controller follow: the newest rows are kept here, older ones are asked for."""

    def __init__(self, log: Source, namespace: str = "", interval: float = INTERVAL_SECONDS) -> None:
        self._log = log
        self._namespace = namespace
        self._interval = interval
        self._rows: list[Arrived] = []
        self._begin: int | None = None  # of the namespace every row from above here to _head is in _rows
        self._head = 0
        self._fresh_until = 0.0
        self._asking: asyncio.Task[None] | None = None

    async def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor of these trials, and the new cursor; it may be a second old. 0 is the start."""
        if self._begin is None or cursor < self._begin:
            cursor, rows = await self._log.since(cursor, trial_uids)
            if self._begin is None:
                self._begin = self._head = cursor
            return cursor, rows
        await self._refresh()
        # Meanwhile so much may have come that what follows the cursor is kept no longer.
        if cursor < self._begin:
            return await self._log.since(cursor, trial_uids)
        wanted = frozenset(trial_uids)
        newer = self._rows[bisect_right(self._rows, cursor, key=_cursor) :]
        return max(cursor, self._head), [row.reported for row in newer if row.reported.trial_uid in wanted]

    async def _refresh(self) -> None:
        if asyncio.get_running_loop().time() < self._fresh_until:
            return
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._answered)
        await asyncio.shield(self._asking)

    async def _ask(self) -> None:
        self._head, rows = await self._log.follow_all(self._head, self._namespace)
        self._rows += rows
        if len(self._rows) > 2 * KEPT:
            self._begin = self._rows[-KEPT - 1].cursor
            del self._rows[:-KEPT]
        self._fresh_until = asyncio.get_running_loop().time() + self._interval

    def _answered(self, asking: asyncio.Task[None]) -> None:
        self._asking = None
        if not asking.cancelled():
            asking.exception()  # whoever waited has it; nobody may have


def _cursor(row: Arrived) -> int:
    return row.cursor
