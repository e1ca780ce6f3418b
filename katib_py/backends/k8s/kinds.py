"""The kinds of object that trials run: found when they are needed, whenever they were installed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import Absent, ApiError, Refused
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.owners import controller_of
from katib_py.backends.k8s.resources import JOBS, Resource
from katib_py.core.names import LABEL_TRIAL

KNOWN: Final = {("batch/v1", "Job"): JOBS}
LISTED_SECONDS: Final = 5.0  # a list that takes longer is not waited for in silence


@dataclass(slots=True)
class Seen:
    """What is remembered of a run object; `document` is all of it, while it is being told."""

    uid: str
    owner: str
    leaving: bool
    document: Json


# Told of the objects of trials: of new and changed ones with the document, of those that are gone without.
Told = Callable[[Resource, Name, str, Json | None], None]


class Discovery:
    """The resources of kinds, each asked for once."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._resources: dict[tuple[str, str], Resource] = dict(KNOWN)

    async def resource(self, document: Mapping[str, Any]) -> Resource:
        """The resource of an object; raises Absent where the cluster does not know its kind."""
        key = _kind(document)
        if key not in self._resources:
            self._resources[key] = await self._discover(*key)
        return self._resources[key]

    def forget(self, document: Mapping[str, Any]) -> None:
        """Ask for the kind of this object anew: it may have gone, and come back as another resource."""
        if _kind(document) not in KNOWN:
            self._resources.pop(_kind(document), None)

    async def _discover(self, api_version: str, kind: str) -> Resource:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{api_version}" if group else f"/api/{version}"
        try:
            found = await self._api.request("GET", path)
        except Absent as error:
            raise Absent(404, "KindNotFound", f"the cluster has no {api_version}, which {kind} is of") from error
        for entry in found.get("resources", ()):
            if entry["kind"] == kind and "/" not in entry["name"]:
                return Resource(group, version, entry["name"], kind, bool(entry["namespaced"]))
        raise Absent(404, "KindNotFound", f"the cluster has no kind {kind} in {api_version}")


class Kinds:
    """Watches the objects of every kind that a trial has needed so far, as far as they carry a trial's label."""

    def __init__(self, api: Api, namespace: str, told: Told) -> None:
        self.discovery = Discovery(api)
        self._api = api
        self._selection = Selection(namespace, LABEL_TRIAL)
        self._told = told
        self._informers: dict[Resource, Informer[Seen]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def resource(self, document: Mapping[str, Any]) -> Resource:
        """The resource of a run object; raises Absent for a kind that is not there, Refused for a useless one."""
        resource = await self.discovery.resource(document)
        if not resource.namespaced:
            raise Refused(422, "Invalid", f"{resource.kind} is of no namespace, as a trial's run must be")
        return resource

    def watch(self, resource: Resource) -> Informer[Seen]:
        """The informer of a resource, which is watched from now on."""
        if resource not in self._informers:
            informer = Informer(self._api, resource, _seen, self._teller(resource), self._selection)
            self._informers[resource] = informer
            task = asyncio.create_task(informer.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._informers[resource]

    async def watched(self, resource: Resource) -> None:
        """Return once the objects of a resource are known; raises ApiError where they cannot be."""
        await listed(self.watch(resource))

    def informers(self) -> Iterator[tuple[Resource, Informer[Seen]]]:
        """Every resource that is watched."""
        return iter(list(self._informers.items()))

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _teller(self, resource: Resource) -> Callable[[Name, Seen | None, Seen | None], None]:
        def tell(name: Name, old: Seen | None, new: Seen | None) -> None:
            if new is not None:
                # A finished trial's object that is kept should not cost what it is written in.
                document, new.document = new.document, {}
                # The items of a list do not say of what kind they are.
                document = {"apiVersion": resource.api_version, "kind": resource.kind, **document}
                self._told(resource, name, new.uid, document)
            elif old is not None:
                self._told(resource, name, old.uid, None)

        return tell


async def listed(informer: Informer[Any]) -> None:
    """Return once the informer knows what is there; raises ApiError where it cannot."""
    if informer.listed:
        return
    try:
        async with asyncio.timeout(LISTED_SECONDS):
            await informer.ready()
    except TimeoutError:
        trouble = informer.trouble or "the API server is slow to list them"
        reason = "Forbidden" if "forbidden" in trouble else "NotListed"
        raise ApiError(0, reason, f"{informer.resource.plural} cannot be watched: {trouble}") from None


def _kind(document: Mapping[str, Any]) -> tuple[str, str]:
    return str(document.get("apiVersion", "")), str(document.get("kind", ""))


def _seen(document: Json) -> Seen:
    metadata = document["metadata"]
    metadata.pop("managedFields", None)
    return Seen(metadata["uid"], controller_of(document).get("uid", ""), "deletionTimestamp" in metadata, document)
