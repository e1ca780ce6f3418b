"""Events of Experiments and Trials, as kubectl describe shows them: written beside the work, never held up for."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import AlreadyExists, ApiError, Unreachable
from katib_py.backends.k8s.resources import EVENTS
from katib_py.controller.ports import Event, Key
from katib_py.core.names import API_VERSION
from katib_py.core.status import time_text

MOST: Final = 1000  # waiting to be written; beyond that the oldest are dropped
LONGEST: Final = 1024  # of a message: the API server refuses longer ones
COMPONENT: Final = "katib-py"
AWAY_SECONDS: Final = 2.0
PAUSE_SECONDS: Final = 0.05  # events are worth less than the writes that they would crowd out

log = logging.getLogger(__name__)


class Told(NamedTuple):
    """An event and the uid of the object that it is about."""

    namespace: str
    uid: str
    event: Event


class EventWriter:
    """Writes events one after the other, so that a thousand failing trials do not crowd out the trials themselves."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._queue: deque[Told] = deque(maxlen=MOST)
        self._more = asyncio.Event()

    def tell(self, key: Key, uid: str, events: Sequence[Event], uids: Mapping[str, str]) -> None:
        """Have these written; `uid` is the experiment's, `uids` are those of trials."""
        for event in events:
            about = uid if event.kind == "Experiment" else uids.get(event.name, "")
            self._queue.append(Told(key.namespace, about, event))
        if events:
            self._more.set()

    async def run(self) -> None:
        """Write what is told; never returns."""
        while True:
            await self._more.wait()
            self._more.clear()
            while self._queue:
                await self._write(self._queue.popleft())

    async def _write(self, told: Told) -> None:
        """Write one event: once the API server answers, if it takes it at all."""
        document = _document(told)
        while True:
            try:
                await self._api.create(EVENTS, told.namespace, document)
            except Unreachable:
                await asyncio.sleep(AWAY_SECONDS)
                continue
            except AlreadyExists:
                pass  # the answer to an earlier try was lost
            except ApiError as error:
                log.info("an event of %s is not written: %s", told.event.name, error)
            await asyncio.sleep(PAUSE_SECONDS)
            return


def _document(told: Told) -> Json:
    event = told.event
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{event.name}.{uuid.uuid4().hex[:16]}", "namespace": told.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": event.kind,
            "name": event.name,
            "namespace": told.namespace,
            **({"uid": told.uid} if told.uid else {}),
        },
        "type": event.type.value,
        "reason": event.reason,
        "message": event.message[:LONGEST],
        "source": {"component": COMPONENT},
        "firstTimestamp": time_text(event.time),
        "lastTimestamp": time_text(event.time),
        "count": 1,
    }
