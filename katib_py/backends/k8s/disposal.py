"""The run objects of finished trials: deleted beside the work, and looked for after a controller was killed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, NamedTuple

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.errors import Absent, ApiError, Refused
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.resources import Resource
from katib_py.core.errors import Conflict

# Deleting gives way to the work, as long as it does not fall far behind.
WORKERS: Final = 2
MOST_WORKERS: Final = 16
WAITING_EACH: Final = 16
RETRY: Final = (0.2, 1.0, 5.0, 10.0)
CLOSE_SECONDS: Final = 5.0


class Rest(NamedTuple):
    """A run object that nobody needs any more."""

    resource: Resource
    name: Name
    uid: str


class Disposal:
    """Deletes what it is given, a few at a time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._queue: deque[Rest] = deque()
        self._known: set[str] = set()  # the uids of what waits or is being deleted
        self._workers: set[asyncio.Task[None]] = set()

    def add(self, rest: Rest) -> None:
        """Delete this object, which may be gone already."""
        if rest.uid in self._known:
            return
        self._known.add(rest.uid)
        self._queue.append(rest)
        if len(self._workers) < min(MOST_WORKERS, WORKERS + len(self._queue) // WAITING_EACH):
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def close(self) -> None:
        """Give what is under way a moment; what is left is found by the next controller."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=CLOSE_SECONDS)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    async def _work(self) -> None:
        while self._queue:
            rest = self._queue.popleft()
            try:
                await self._delete(rest)
            finally:
                self._known.discard(rest.uid)

    async def _delete(self, rest: Rest) -> None:
        for pause in RETRY:
            try:
                await self._api.delete(rest.resource, rest.name, rest.uid)
            except (Absent, Conflict, Refused):
                return
            except ApiError:
                await asyncio.sleep(pause)
            else:
                return
