"""The observation log in the same database and thread as the store."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlalchemy import Connection, Engine

from katib_py.backends.local.database import Database
from katib_py.controller.ports import Attempt, RunOrder
from katib_py.core.objective import Measurement
from katib_py.observations import reports
from katib_py.observations.log import Run, SqlLog, append


class SqlObservations:
    """The Observations port for the trials of one namespace; a trial's attempts are numbered."""

    def __init__(self, database: Database, namespace: str) -> None:
        self._database = database
        self._namespace = namespace

    async def append(self, rows: Sequence[tuple[RunOrder, Sequence[Measurement]]]) -> None:
        """Record measurements of runs with the store's next commit; what is recorded already is passed over.

        So a trial's end and its last measurements are written in one transaction, which also costs less than two.
        """
        named = [(self._run(order), measurements) for order, measurements in rows]
        self._database.later(lambda connection: append(connection, named))

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[Sequence[Measurement]]:
        """Every measurement of each of these attempts, in order of position."""
        return await self._database.use(partial(_read, attempts)) if attempts else []

    async def follow(
        self, cursor: int, trial_uids: Sequence[str]
    ) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
        """What came since the cursor; rows that no numbered attempt reported are passed over."""
        return await self._database.use(partial(_follow, cursor, trial_uids))

    async def record_stop(self, trial_uid: str, attempt: int, reason: str) -> None:
        """Have the attempt's next report answered with stop."""

        def record(connection: Connection) -> None:
            reports.record_stop(connection, trial_uid, str(attempt), reason)

        await self._database.run(record)

    def _run(self, order: RunOrder) -> Run:
        return Run(self._namespace, order.name, order.trial_uid, str(order.trial.attempt))


def _read(attempts: Sequence[Attempt], engine: Engine) -> list[list[Measurement]]:
    log = SqlLog(engine)
    return [log.read(uid, str(number)) for uid, number in attempts]


def _follow(
    cursor: int, trial_uids: Sequence[str], engine: Engine
) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
    cursor, rows = SqlLog(engine).since(cursor, trial_uids)
    numbered = [row for row in rows if row.attempt.isdecimal()]
    return cursor, [(row.trial_uid, int(row.attempt), row.measurement) for row in numbered]
