"""How many logs are followed at once; the others are looked at in turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

STREAMS: Final = 200  # each holds a connection of the API server's and of a kubelet's
RESERVED: Final = 32  # more, for runs that are being ended: their last words go with their pods
LOOKS: Final = 16  # under way at a time
TURN_SECONDS: Final = 4.0  # between two looks at the same log


class Streams:
    """The places at which the logs of a controller's runs are read."""

    def __init__(self, most: int = STREAMS) -> None:
        self._free = most
        self._looking = asyncio.Semaphore(LOOKS)

    @asynccontextmanager
    async def place(self, last: bool = False) -> AsyncIterator[bool]:
        """A place for a log that grows: True where it may be followed to its end, False for one look.

        `last`: the run is being ended.
        """
        if self._free <= (-RESERVED if last else 0):
            async with self.look():
                yield False
            return
        self._free -= 1
        try:
            yield True
        finally:
            self._free += 1

    @asynccontextmanager
    async def look(self) -> AsyncIterator[None]:
        """A place for reading once what is there."""
        async with self._looking:
            yield
