"""The observation log of a controller: the db-manager's, over the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from katib_py.backends.k8s.batches import Batches
from katib_py.controller.ports import Attempt, RunOrder
from katib_py.core.objective import Measurement
from katib_py.observations.log import Run
from katib_py.observations.remote import RemoteLog, Start
from katib_py.observations.tail import Tail

# The engine keeps what it has in hand and comes again: it must not stand still meanwhile.
PATIENCE_SECONDS: Final = 5.0


class RemoteObservations:
    """The Observations port for the trials of one namespace; raises StoreUnavailable as RemoteLog does."""

    def __init__(self, log: RemoteLog, tail: Tail, namespace: str, beginning: Batches[Start]) -> None:
        self._log = log
        self._tail = tail
        self._namespace = namespace
        self._beginning = beginning

    async def append(self, rows: Sequence[tuple[RunOrder, Sequence[Measurement]]]) -> None:
        """Record measurements of runs; what is recorded already is passed over."""
        await self._log.append((self._run(order), items) for order, items in rows)

    async def begin(self, order: RunOrder) -> None:
        """Note that an attempt begins: reports that name only the trial are placed into it."""
        await self._beginning.add(Start(self._run(order), datetime.now(UTC)))

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[Sequence[Measurement]]:
        """Every measurement of each of these attempts, in order of position."""
        keys = [(uid, str(number)) for uid, number in attempts]
        found = await self._log.read_many(keys) if keys else {}
        return [found.get(key, []) for key in keys]

    async def follow(
        self, cursor: int, trial_uids: Sequence[str]
    ) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
        """What came since the cursor; rows that no numbered attempt reported are passed over."""
        cursor, rows = await self._tail.since(cursor, trial_uids)
        numbered = [row for row in rows if row.attempt.isdecimal()]
        return cursor, [(row.trial_uid, int(row.attempt), row.measurement) for row in numbered]

    async def record_stop(self, trial_uid: str, attempt: int, reason: str) -> None:
        """Have the attempt's next report answered with stop."""
        await self._log.record_stops({(trial_uid, str(attempt)): reason})

    def _run(self, order: RunOrder) -> Run:
        return Run(self._namespace, order.name, order.trial_uid, str(order.trial.attempt))


class RemoteLogs:
    """The logs that a controller looks after, of one namespace or of all, asked once a second for what is new."""

    def __init__(self, log: RemoteLog, namespace: str = "") -> None:
        self.log = log
        self.namespace = namespace
        self._tail = Tail(log, namespace)
        self._beginning: Batches[Start] = Batches(log.register)

    def of(self, namespace: str) -> RemoteObservations:
        """The log of one namespace's trials."""
        return RemoteObservations(self.log, self._tail, namespace, self._beginning)
