"""The observation log of a controller that opens its database itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from katib_py.backends.k8s.batches import Batches
from katib_py.controller.ports import Attempt, RunOrder
from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.observations import reports
from katib_py.observations.database import writing
from katib_py.observations.log import Run, SqlLog, append

T = TypeVar("T")


class DatabaseLog:
    """A database of observations and the one thread that works on it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._thread = ThreadPoolExecutor(1, "observations")

    async def run(self, work: Callable[[Engine], T]) -> T:
        """Do this work on the thread; raises StoreUnavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, self.engine)
        except SQLAlchemyError as error:
            raise StoreUnavailable(f"the observation log cannot be used: {error}") from error

    def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown()


class DatabaseObservations:
    """The Observations port for the trials of one namespace."""

    def __init__(self, log: DatabaseLog, namespace: str) -> None:
        self._log = log
        self._namespace = namespace
        self._beginning: Batches[tuple[Run, datetime]] = Batches(self._begin)

    async def append(self, rows: Sequence[tuple[RunOrder, Sequence[Measurement]]]) -> None:
        """Record measurements of runs; what is recorded already is passed over."""
        named = [(self._run(order), items) for order, items in rows]
        await self._log.run(partial(_write, lambda connection: append(connection, named)))

    async def begin(self, order: RunOrder) -> None:
        """Note that an attempt begins: reports that name only the trial are placed into it."""
        await self._beginning.add((self._run(order), datetime.now(UTC)))

    async def _begin(self, runs: Sequence[tuple[Run, datetime]]) -> None:
        def begin(connection: Connection) -> None:
            for run, started in runs:
                reports.begin_run(connection, run, started)

        await self._log.run(partial(_write, begin))

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[Sequence[Measurement]]:
        """Every measurement of each of these attempts, in order of position."""
        return await self._log.run(partial(_read, attempts)) if attempts else []

    async def follow(
        self, cursor: int, trial_uids: Sequence[str]
    ) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
        """What came since the cursor; rows that no numbered attempt reported are passed over."""
        cursor, rows = await self._log.run(lambda engine: SqlLog(engine).since(cursor, trial_uids))
        numbered = [row for row in rows if row.attempt.isdecimal()]
        return cursor, [(row.trial_uid, int(row.attempt), row.measurement) for row in numbered]

    async def record_stop(self, trial_uid: str, attempt: int, reason: str) -> None:
        """Have the attempt's next report answered with stop."""

        def record(connection: Connection) -> None:
            reports.record_stop(connection, trial_uid, str(attempt), reason)

        await self._log.run(partial(_write, record))

    def _run(self, order: RunOrder) -> Run:
        return Run(self._namespace, order.name, order.trial_uid, str(order.trial.attempt))


def _read(attempts: Sequence[Attempt], engine: Engine) -> list[list[Measurement]]:
    log = SqlLog(engine)
    return [log.read(uid, str(number)) for uid, number in attempts]


def _write(work: Callable[[Connection], None], engine: Engine) -> None:
    with writing(engine).begin() as connection:
        work(connection)
