"""What a controller that was killed has left behind, looked for every minute."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.disposal import Rest
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.observations import RemoteLogs
from katib_py.backends.k8s.trials import Trials
from katib_py.core.errors import StoreUnavailable

PAUSE_SECONDS: Final = 60.0
FIRST_SECONDS: Final = 5.0


class Sweeper:
    """Deletes the run objects of trials that have finished and are not to be kept."""

    def __init__(self, cluster: Cluster, trials: Trials) -> None:
        self._cluster = cluster
        self._trials = trials

    async def run(self) -> None:
        """Sweep; never returns."""
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            await self._watch()
            self._sweep()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _watch(self) -> None:
        """Have every kind watched that a trial ever ran as: experiments that have ended need none any more."""
        for api_version, kind in sorted(self._trials.kinds):
            with suppress(ApiError):  # a kind that we may not list is looked at again the next time
                resource = await self._cluster.kinds.resource({"apiVersion": api_version, "kind": kind})
                await self._cluster.kinds.watched(resource)

    def _sweep(self) -> None:
        """Look once. What is being followed is its follower's to delete."""
        for resource, informer in self._cluster.kinds.informers():
            for name, seen in informer.items():
                trial = self._trials.get(name)
                if trial is None or not trial.finished or trial.retain or self._cluster.follows(name):
                    continue
                if seen.owner == trial.uid and not seen.leaving:
                    self._cluster.disposal.add(Rest(resource, name, seen.uid))


class LogSweeper:
    """Deletes what the observation log has of trials that are gone: nothing keeps a Trial from being deleted."""

    def __init__(self, logs: RemoteLogs, trials: Trials) -> None:
        self._logs = logs
        self._trials = trials

    async def run(self) -> None:
        """Sweep; never returns."""
        while True:
            await asyncio.sleep(PAUSE_SECONDS)
            with suppress(StoreUnavailable, ApiError):
                await self.sweep()

    async def sweep(self) -> None:
        """Look once. What we watch may be behind the log, by long after a sleep: the API server has the last word.

        A trial is in the log only once its object is there, so one that is in the log and then is not there has gone.
        """
        held = await self._logs.log.held(self._logs.namespace)
        missing = held - {trial.uid for _, trial in self._trials.items()}
        if missing:
            await self._logs.log.delete(missing - await self._trials.uids())
