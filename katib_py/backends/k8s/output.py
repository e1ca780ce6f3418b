"""What the pods of one attempt print: followed while they run where somebody decides on it, else read at their end."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.errors import ApiError, Refused
from katib_py.backends.k8s.logs import LogReader, Output
from katib_py.backends.k8s.pods import Pod
from katib_py.backends.k8s.site import Site
from katib_py.backends.k8s.streams import TURN_SECONDS, Streams
from katib_py.core.errors import NotFound
from katib_py.core.objective import Measurement

BACKOFF: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
PAUSE_SECONDS: Final = 1.0  # before a followed log is taken up that was lost
GLANCES: Final = (10.0, 15.0, 15.0, 20.0, 30.0, 60.0)  # between looks at a log that the objective has not been seen in
LAST_SECONDS: Final = 2.0  # how long a followed log may take to end after its container has
OPEN_SECONDS: Final = 1.0  # a kubelet answers a follower no sooner than there is something to read

Tell = Callable[[list[Measurement]], None]


class RunOutput:
    """The output of the primary container of each of an attempt's primary pods; `tell` is given what is followed.

    Of a pod alone it is known what it has printed before `position`, that of a measurement.
    """

    def __init__(self, cluster: Cluster, site: Site, tell: Tell, position: int | None = None) -> None:
        self._api = cluster.api
        self._streams = cluster.streams
        self._position = position
        self._site = site
        self._tell = tell
        self._pods: dict[str, PodOutput] = {}

    def attend(self, pods: Iterable[Pod], live: bool) -> None:
        """Read each of these pods as soon as its container has ended; follow it before if it is to be `live`.

        Of one that is not followed it is looked now and then whether its objective has come.
        """
        for pod in self._alone(pods):
            container = pod.container(self._site.primary_container)
            if container.ended or pod.ended:
                self._of(pod).end()
            elif container.started:
                output = self._of(pod)
                output.follow() if live else output.glance(self._site.objective)

    async def open(self, pods: Iterable[Pod]) -> None:
        """Have these pods followed: somebody is about to end them, and nothing can be read afterwards."""
        followed = [self._of(pod) for pod in pods if pod.container(self._site.primary_container).started]
        for output in followed:
            output.follow_last()
        opened = asyncio.gather(*(output.opened.wait() for output in followed))
        with suppress(TimeoutError):
            await asyncio.wait_for(opened, OPEN_SECONDS)

    async def rest(self, pods: Iterable[Pod]) -> tuple[list[Measurement], list[str]]:
        """What has not been told yet of these pods and of those before, and what keeps us from reading the others."""
        for pod in self._alone(pods):
            self._of(pod)
        found: list[Measurement] = []
        notes: list[str] = []
        for output in self._pods.values():
            measurements, trouble = await output.rest()
            found += measurements
            notes += [trouble] if trouble else []
        return found, notes

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the output that look like metrics."""
        return tuple(dict.fromkeys(name for output in self._pods.values() for name in output.reader.seen))

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return [note for output in self._pods.values() for note in output.reader.notes()]

    async def close(self) -> None:
        """Stop reading."""
        await asyncio.gather(*(output.close() for output in self._pods.values()))

    def _alone(self, pods: Iterable[Pod]) -> list[Pod]:
        """The pods; of several, it cannot be told what is known of each."""
        listed = list(pods)
        self._position = self._position if len(listed) < 2 else None
        return listed

    def _of(self, pod: Pod) -> PodOutput:
        if pod.uid not in self._pods:
            assert self._site.format is not None
            where = Output(pod.namespace, pod.name, self._site.primary_container)
            reader = LogReader(self._api, where, self._site.format, self._position)
            self._pods[pod.uid] = PodOutput(reader, self._streams, self._tell)
        return self._pods[pod.uid]


class PodOutput:
    """Reads one pod's container by one task: `follow` and `end` say what is known of the container."""

    def __init__(self, reader: LogReader, streams: Streams, tell: Tell) -> None:
        self.reader = reader
        self.opened = asyncio.Event()  # what is printed from now on will be read
        self._streams = streams
        self._tell = tell
        self._ended = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._kept: list[Measurement] = []  # read at the end, and not told yet
        self._whole = False  # whether the last line has been read
        self._followed = False  # whether a reading came to the end of what was followed
        self._followed_now = False  # whether the log is being followed at this moment

    def follow(self) -> None:
        """The container runs."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow(last=False))

    def glance(self, objective: str) -> None:
        """The container runs, and nobody decides on what it measures: look for this metric until it has come."""
        if self._task is None:
            self._task = asyncio.create_task(self._glance(objective))

    def follow_last(self) -> None:
        """The container is about to be ended: a log that was looked at in turns is followed, if that can be."""
        if self._followed_now:
            return
        before, self._task = self._task, None
        self._task = asyncio.create_task(self._follow(last=True, before=before))

    def end(self) -> None:
        """The container has ended."""
        self._ended.set()
        if self._task is None:
            self._task = asyncio.create_task(self._last())

    async def rest(self) -> tuple[list[Measurement], str]:
        """What has not been told yet; why there may be more, where it cannot be read."""
        trouble = ""
        self.end()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=LAST_SECONDS)
        if not self._whole:
            await self.close()
            try:
                await self._last()
            except NotFound as error:
                trouble = "" if self._followed else f"its output is gone: {error}"
            except ApiError as error:
                trouble = f"its output cannot be read: {error.message}"
        kept, self._kept = self._kept, []
        return kept, trouble

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self, last: bool, before: asyncio.Task[None] | None = None) -> None:
        """Until the container has ended; a lost connection is taken up where it was."""
        if before is not None:
            before.cancel()
            await asyncio.gather(before, return_exceptions=True)
        while not self._ended.is_set():
            pause = PAUSE_SECONDS
            with suppress(ApiError):
                async with self._streams.place(last) as place:
                    pause, self._followed_now = (PAUSE_SECONDS, True) if place else (TURN_SECONDS, False)
                    async for items in self.reader.read(follow=place, opened=self.opened):
                        self._tell(items)
                    self._followed = place
            self._followed_now = False
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), pause)
        await self._last()

    async def _glance(self, objective: str) -> None:
        heard = False
        pauses = itertools.chain(GLANCES, itertools.repeat(GLANCES[-1]))
        while not self._ended.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), None if heard else next(pauses))
                break
            with suppress(ApiError):
                async with self._streams.look():
                    async for items in self.reader.read():
                        self._tell(items)
                        heard = heard or any(item.metric == objective for item in items)
        await self._last()

    async def _last(self) -> None:
        """Read what is left; raises ApiError where the log cannot be read."""
        for pause in (*BACKOFF, None):
            try:
                async with self._streams.look():
                    async for items in self.reader.read(last=True):
                        self._kept += items
            except (NotFound, Refused):
                raise
            except ApiError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                self._whole = True
                return
