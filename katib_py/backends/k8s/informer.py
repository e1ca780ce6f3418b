"""A resource as it is now: listed once, then watched, and kept in the form that its readers need."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from katib_py.backends.k8s.api import EVERYTHING, Api, Json, Selection
from katib_py.backends.k8s.errors import Absent, ApiError, Expired, Refused
from katib_py.backends.k8s.resources import Resource

T = TypeVar("T")

BACKOFF: Final = (0.0, 0.1, 0.5, 1.0, 2.0, 5.0)
QUICK_SECONDS: Final = 1.0  # what ends sooner than this counts as a failure, whatever it says
REFUSED_SECONDS: Final = 10.0  # how often a resource is tried that does not exist, or that we may not read
AHEAD: Final = 504  # the server has not come as far as the version that we know, and may never: its data are others

log = logging.getLogger(__name__)


class Name(NamedTuple):
    """Which object of a resource."""

    namespace: str
    name: str


# Told of every change: the old form is None for a new object, the new one for an object that is gone.
Changed = Callable[[Name, T | None, T | None], None]


class Held(NamedTuple, Generic[T]):
    """What is known of an object."""

    uid: str
    form: T


class Informer(Generic[T]):
    """Keeps `slim(object)` of every object of a selection, and tells of changes.

    What happens while the connection is lost is told as the difference, once it is back; an object that was replaced by
    another of its name is told as gone and as new. `trouble` says in words what keeps it from reading, and is empty
    while it reads; `denied`: this is no failure, there is no such resource or we may not read it.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        slim: Callable[[Json], T],
        changed: Changed[T],
        selection: Selection = EVERYTHING,
    ) -> None:
        self.resource = resource
        self.trouble = ""
        self.denied = False
        self._api = api
        self._slim = slim
        self._changed = changed
        self._selection = selection
        self._held: dict[Name, Held[T]] = {}
        self._version = ""
        self._listed = asyncio.Event()

    def get(self, name: Name) -> T | None:
        """The object as last seen."""
        held = self._held.get(name)
        return None if held is None else held.form

    def items(self) -> Iterator[tuple[Name, T]]:
        """Every object as last seen."""
        return iter([(name, held.form) for name, held in self._held.items()])

    def __len__(self) -> int:
        return len(self._held)

    @property
    def listed(self) -> bool:
        """Whether the resource has been listed."""
        return self._listed.is_set()

    async def ready(self) -> None:
        """Return once the resource has been listed."""
        await self._listed.wait()

    async def run(self) -> None:
        """List, watch, and start anew whatever happens; never returns."""
        failures = 0
        while True:
            began = time.monotonic()
            pause = await self._read()
            failures = failures + 1 if time.monotonic() - began < QUICK_SECONDS else 0
            await asyncio.sleep(max(pause, BACKOFF[min(failures, len(BACKOFF) - 1)]))

    async def _read(self) -> float:
        """Read until something ends it; how many seconds to leave the server alone."""
        try:
            if not self._version:
                await self._list()
            await self._watch()
        except Expired:
            self._version = ""
        except (Absent, Refused) as error:
            # As the resource may be another one when it comes back, what is known of it is void.
            self._version, self.denied = "", True
            self._complain(error)
            return REFUSED_SECONDS
        except ApiError as error:
            if error.status == AHEAD:
                self._version = ""
            self._complain(error)
        return 0.0

    def _complain(self, error: ApiError) -> None:
        if str(error) != self.trouble:
            log.warning("%s cannot be watched: %s", self.resource.plural, error)
        self.trouble = str(error)

    async def _list(self) -> None:
        gone = set(self._held)
        version = ""
        async for page in self._api.pages(self.resource, self._selection):
            version = page.version
            for item in page.items:
                gone.discard(self._put(item))
        for name in gone:
            self._drop(name)
        self._version = version
        self._listed.set()

    async def _watch(self) -> None:
        async with self._api.watch(self.resource, self._version, self._selection) as events:
            self.trouble, self.denied = "", False
            async for kind, item in events:
                if kind == "DELETED":
                    self._drop(_name(item))
                elif kind != "BOOKMARK":
                    self._put(item)
                self._version = item["metadata"]["resourceVersion"]

    def _put(self, item: Json) -> Name:
        name, uid, new = _name(item), item["metadata"]["uid"], self._slim(item)
        old = self._held.get(name)
        if old is not None and old.uid != uid:
            self._drop(name)
            old = None
        self._held[name] = Held(uid, new)
        self._changed(name, None if old is None else old.form, new)
        return name

    def _drop(self, name: Name) -> None:
        old = self._held.pop(name, None)
        if old is not None:
            self._changed(name, old.form, None)


def _name(item: Json) -> Name:
    metadata = item["metadata"]
    return Name(metadata.get("namespace", ""), metadata["name"])
