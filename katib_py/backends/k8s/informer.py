"""A resource as it is now: listed once, then watched, and kept in the form that its readers need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Final, Generic, NamedTuple, TypeVar

from katib_py.backends.k8s.api import EVERYTHING, Api, Json, Selection
from katib_py.backends.k8s.errors import Absent, ApiError, Expired, Refused
from katib_py.backends.k8s.resources import Resource

T = TypeVar("T")

BACKOFF: Final = (0.1, 0.5, 1.0, 2.0, 5.0)
REFUSED_SECONDS: Final = 10.0  # how often a resource is tried that does not exist, or that we may not read

log = logging.getLogger(__name__)


class Name(NamedTuple):
    """Which object of a resource."""

    namespace: str
    name: str


# Told of every change: the old form is None for a new object, the new one for an object that is gone.
Changed = Callable[[Name, T | None, T | None], None]


class Informer(Generic[T]):
    """Keeps `slim(object)` of every object of a selection, and tells of changes.

    What happens while the connection is lost is told as the difference, once it is back. `trouble` says in words what
    keeps it from reading, and is empty while it reads.
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
        self._api = api
        self._slim = slim
        self._changed = changed
        self._selection = selection
        self._held: dict[Name, T] = {}
        self._version = ""
        self._listed = asyncio.Event()
        self._failures = 0

    def get(self, name: Name) -> T | None:
        """The object as last seen."""
        return self._held.get(name)

    def items(self) -> Iterator[tuple[Name, T]]:
        """Every object as last seen."""
        return iter(list(self._held.items()))

    def __len__(self) -> int:
        return len(self._held)

    async def ready(self) -> None:
        """Return once the resource has been listed."""
        await self._listed.wait()

    async def run(self) -> None:
        """List, watch, and start anew whatever happens; never returns."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                self._failures = 0
            except Expired:
                self._version = ""
            except (Absent, Refused) as error:
                # As the resource may be another one when it comes back, what is known of it is void.
                self._version = ""
                await self._rest(error, REFUSED_SECONDS)
            except ApiError as error:
                await self._rest(error, BACKOFF[min(self._failures, len(BACKOFF) - 1)])
                self._failures += 1

    async def _rest(self, error: ApiError, seconds: float) -> None:
        if str(error) != self.trouble:
            log.warning("%s cannot be watched: %s", self.resource.plural, error)
        self.trouble = str(error)
        await asyncio.sleep(seconds)

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
        self.trouble = ""
        self._listed.set()

    async def _watch(self) -> None:
        async for kind, item in self._api.watch(self.resource, self._version, self._selection):
            self.trouble = ""
            if kind == "DELETED":
                self._drop(_name(item))
            elif kind != "BOOKMARK":
                self._put(item)
            self._version = item["metadata"]["resourceVersion"]

    def _put(self, item: Json) -> Name:
        name = _name(item)
        old, new = self._held.get(name), self._slim(item)
        self._held[name] = new
        self._changed(name, old, new)
        return name

    def _drop(self, name: Name) -> None:
        old = self._held.pop(name, None)
        if old is not None:
            self._changed(name, old, None)


def _name(item: Json) -> Name:
    metadata = item["metadata"]
    return Name(metadata.get("namespace", ""), metadata["name"])
