"""Small pieces of work that many ask for at once, done together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Batches(Generic[T]):
    """Hands `work` what has come in while the batch before was under way."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[None]]) -> None:
        self._work = work
        self._items: list[T] = []
        self._waiting: asyncio.Task[None] | None = None
        self._under_way: asyncio.Task[None] | None = None

    async def add(self, item: T) -> None:
        """Return once it is done; raises what `work` raised for its batch."""
        self._items.append(item)
        if self._waiting is None:
            self._waiting = asyncio.create_task(self._next(self._under_way))
            self._waiting.add_done_callback(_retrieve)
        await asyncio.shield(self._waiting)

    async def _next(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        items, self._items = self._items, []
        self._under_way, self._waiting = self._waiting, None
        await self._work(items)


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever waited has its error; all of them may have been cancelled."""
    if not task.cancelled():
        task.exception()
