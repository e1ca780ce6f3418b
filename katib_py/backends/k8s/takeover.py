"""What Katib's own controllers leave behind in a cluster that katib-py takes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, ApiError, Changed, Refused
from katib_py.backends.k8s.resources import DEPLOYMENTS, EXPERIMENTS, SERVICES, TRIALS, Resource

# Katib counts what is deleted, and clears its database, before it lets go of the object.
FINALIZERS: Final = {EXPERIMENTS: "update-prometheus-metrics", TRIALS: "clean-metrics-in-db"}
RETRY: Final = (0.2, 1.0, 5.0, 10.0, 30.0)

Work = Coroutine[Any, Any, None]

log = logging.getLogger(__name__)


class Takeover:
    """Takes Katib's finalizers from what is being deleted, and removes the services that Katib started."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def look(self, resource: Resource, document: Json) -> None:
        """See to an Experiment or a Trial that Katib's finalizer keeps from being deleted."""
        metadata = document["metadata"]
        held = FINALIZERS[resource] in (metadata.get("finalizers") or ())
        if held and "deletionTimestamp" in metadata:
            where = metadata["namespace"], metadata["name"]
            self._once(metadata["uid"], self._release(resource, where, metadata["uid"]))

    def end_service(self, document: Json, name: str) -> None:
        """Remove the Deployment and Service that Katib started for an Experiment; ours are shared."""
        metadata = document["metadata"]
        if is_katibs(document):
            self._once(f"{metadata['uid']} service", self._end_service((metadata["namespace"], name)))

    async def close(self) -> None:
        """Leave what is under way to the next controller."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _once(self, key: str, work: Work) -> None:
        if key in self._tasks:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _release(self, resource: Resource, where: tuple[str, str], uid: str) -> None:
        for pause in RETRY:
            try:
                metadata = (await self._api.get(resource, *where))["metadata"]
                if metadata["uid"] != uid:
                    return
                rest = [name for name in metadata.get("finalizers") or () if name != FINALIZERS[resource]]
                body = {"resourceVersion": metadata["resourceVersion"], "finalizers": rest or None}
                await self._api.patch(resource, where, {"metadata": body})
            except Absent:
                return
            except Changed:
                continue
            except ApiError as error:
                log.warning("Katib's finalizer of %s %s/%s stays: %s", resource.kind, *where, error)
                await asyncio.sleep(pause)
            else:
                return

    async def _end_service(self, where: tuple[str, str]) -> None:
        for resource in (DEPLOYMENTS, SERVICES):
            try:
                await self._api.delete(resource, where)
            except (Absent, Refused):
                continue
            except ApiError as error:
                log.warning("%s %s/%s of Katib stays: %s", resource.kind, *where, error)


def is_katibs(document: Json) -> bool:
    """Whether Katib's own controller has had this Experiment in its hands."""
    return FINALIZERS[EXPERIMENTS] in (document["metadata"].get("finalizers") or ())
