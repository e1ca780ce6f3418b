"""The measurements in a run's output: read while it runs where somebody decides on them, else at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.errors import ApiError, Refused
from katib_py.backends.k8s.logs import LogReader, Output
from katib_py.backends.k8s.pods import Pod
from katib_py.backends.k8s.site import Site
from katib_py.backends.k8s.streams import TURN_SECONDS
from katib_py.core.errors import NotFound
from katib_py.core.objective import Measurement

BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
FOLLOW_PAUSE: Final = 1.0
LAST_SECONDS: Final = 2.0  # how long a followed log may take to end after its container has


class RunOutput:
    """Reads the primary container of one attempt's pod; `tell` is given what a log brings while it grows.

    What comes before `position`, that of a measurement, is known.
    """

    def __init__(
        self, cluster: Cluster, site: Site, pod: Pod, tell: Callable[[list[Measurement]], None], position: int | None
    ) -> None:
        self.pod = pod
        self._tell = tell
        self._streams = cluster.streams
        assert site.format is not None
        output = Output(pod.namespace, pod.name, site.primary_container)
        self._reader = LogReader(cluster.api, output, site.format, position)
        self._task: asyncio.Task[None] | None = None
        self._followed = False

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the output that look like metrics."""
        return self._reader.seen

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._reader.notes()

    def follow(self) -> None:
        """Read the log as it grows from now on."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(None))

    def follow_last(self) -> None:
        """The same of a run that is being ended: a log that was looked at in turns is followed, if that can be."""
        if self._task is None or not self._followed:
            self._task = asyncio.create_task(self._follow(self._task, last=True))

    async def rest(self) -> list[Measurement]:
        """What has not been told yet; raises ApiError where the log cannot be read."""
        if self._task is not None:
            if self._followed:
                await asyncio.wait({self._task}, timeout=LAST_SECONDS)
            await self.close()
        found: list[Measurement] = []
        for pause in (*BACKOFF, None):
            try:
                async with self._streams.look():
                    async for items in self._reader.read(follow=False):
                        found += items
            except (NotFound, Refused):
                raise
            except ApiError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                break
        return found

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _follow(self, before: asyncio.Task[None] | None, last: bool = False) -> None:
        """An ended log is read again only by `rest`; a lost connection is taken up where it was."""
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        pause = 0.0
        while True:
            await asyncio.sleep(pause)
            try:
                async with self._streams.place(last) as self._followed:
                    async for items in self._reader.read(self._followed, growing=not self._followed):
                        self._tell(items)
            except NotFound:
                return
            except ApiError:
                pause = FOLLOW_PAUSE
            else:
                if self._followed:
                    return
                pause = TURN_SECONDS
