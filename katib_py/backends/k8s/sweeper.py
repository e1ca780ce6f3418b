"""What a controller that was killed has left behind, looked for every minute."""

from __future__ import annotations

import asyncio
from typing import Final

from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.disposal import Rest
from katib_py.backends.k8s.ledger import owned_by
from katib_py.backends.k8s.trials import Trials

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
            self.sweep()
            await asyncio.sleep(PAUSE_SECONDS)

    def sweep(self) -> None:
        """Look once. What is being followed is its follower's to delete."""
        for resource, informer in self._cluster.kinds.watched():
            for name, document in informer.items():
                trial = self._trials.get(name)
                if trial is None or not trial.finished or trial.retain or self._cluster.follows(name):
                    continue
                if owned_by(document, trial.uid) and not document["metadata"].get("deletionTimestamp"):
                    self._cluster.disposal.add(Rest(resource, name, document["metadata"]["uid"]))
