"""The Warning events of namespaces: only they say why there are no pods, or why a pod does not get on."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.pods import Trouble
from katib_py.backends.k8s.resources import EVENTS

# The API server reads events from its disk: all who wait in a namespace share one look.
FRESH_SECONDS: Final = 5.0


class Warned(NamedTuple):
    """An event: what it is about, when it was told last, and what it says."""

    uid: str
    name: str
    time: str
    trouble: Trouble


class WarningEvents:
    """Reads a namespace's Warning events when somebody there wants to know, and not too often."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._read: dict[str, tuple[float, list[Warned]]] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def newest(self, namespace: str, concerns: Callable[[Warned], bool]) -> Trouble | None:
        """What the newest event says that concerns the caller; None too where events cannot be read."""
        async with self._locks[namespace]:
            found = await self._events(namespace)
        newest = max(filter(concerns, found), key=lambda event: event.time, default=None)
        return newest.trouble if newest is not None else None

    async def _events(self, namespace: str) -> list[Warned]:
        when, found = self._read.get(namespace, (-FRESH_SECONDS, []))
        if time.monotonic() - when > FRESH_SECONDS:
            selection = Selection(namespace, fields="type=Warning")
            try:
                found = [_warned(item) async for page in self._api.pages(EVENTS, selection) for item in page.items]
            except ApiError:
                found = []
            self._read[namespace] = time.monotonic(), found
        return found


def _warned(event: Json) -> Warned:
    about, series = event.get("involvedObject") or {}, event.get("series") or {}
    moments = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    moment = next((str(moment) for moment in moments if moment), str(event["metadata"].get("creationTimestamp") or ""))
    trouble = Trouble(str(event.get("reason") or "Warning"), str(event.get("message") or ""))
    return Warned(str(about.get("uid") or ""), str(about.get("name") or ""), moment, trouble)
