"""The kinds of object that trials run: found when they are needed, whenever they were installed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import Absent
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import JOBS, Resource
from katib_py.core.names import LABEL_TRIAL

# Told of the objects of trials, as they were and as they are: None for what is new, or gone.
Told = Callable[[Name, Json | None, Json | None], None]

KNOWN: Final = {("batch/v1", "Job"): JOBS}

log = logging.getLogger(__name__)


class Kinds:
    """Watches the objects of every kind that a trial has needed so far, as far as they carry a trial's label."""

    def __init__(self, api: Api, namespace: str, told: Told) -> None:
        self._api = api
        self._selection = Selection(namespace, LABEL_TRIAL)
        self._told = told
        self._resources: dict[tuple[str, str], Resource] = dict(KNOWN)
        self._informers: dict[Resource, Informer[Json]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def resource(self, document: Mapping[str, Any]) -> Resource:
        """The resource of a run object; raises Absent where the cluster does not know its kind."""
        key = (str(document.get("apiVersion", "")), str(document.get("kind", "")))
        if key not in self._resources:
            self._resources[key] = await self._discover(*key)
        return self._resources[key]

    def watch(self, resource: Resource) -> Informer[Json]:
        """The informer of a resource, which is watched from now on."""
        if resource not in self._informers:
            informer = Informer(self._api, resource, _itself, self._told, self._selection)
            self._informers[resource] = informer
            task = asyncio.create_task(informer.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return self._informers[resource]

    def watched(self) -> Iterator[tuple[Resource, Informer[Json]]]:
        """Every resource that is watched."""
        return iter(list(self._informers.items()))

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _discover(self, api_version: str, kind: str) -> Resource:
        group, _, version = api_version.rpartition("/")
        path = f"/apis/{api_version}" if group else f"/api/{version}"
        found = await self._api.request("GET", path)
        for entry in found.get("resources", ()):
            if entry["kind"] == kind and "/" not in entry["name"]:
                return Resource(group, version, entry["name"], kind, bool(entry["namespaced"]))
        raise Absent(404, "NotFound", f"the cluster has no kind {kind} in {api_version}")


def _itself(document: Json) -> Json:
    document["metadata"].pop("managedFields", None)
    return document
