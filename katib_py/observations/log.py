"""The observation log: append, read, follow, delete; a measurement is kept once however often it is reported."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, delete, func, select

from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds, to_microseconds
from katib_py.observations.database import insert_new, logs, runs, stops, writing

PAGE: Final = 10_000  # rows that `since` looks at in one query
MANY: Final = 500  # trial uids that one query may name: every database takes so many parameters


class Run(NamedTuple):
    """One attempt of one trial; `attempt` is a run number or a pod's uid."""

    namespace: str
    trial_name: str
    trial_uid: str
    attempt: str


class Reported(NamedTuple):
    """A measurement as a follower of the log meets it."""

    trial_uid: str
    attempt: str
    measurement: Measurement


class ObservationLog(Protocol):
    """What trials measured. One suite, tests/contracts/test_observation_log.py, holds for every implementation."""

    def append(self, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
        """Record measurements; one that is there already, by attempt, metric and position, is passed over."""

    def read(self, trial_uid: str, attempt: str | None = None) -> list[Measurement]:
        """The measurements of an attempt in order of position; without `attempt`, of the last one that reported."""

    def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor of these trials, in order of arrival, and the new cursor. 0 is the beginning."""

    def delete(self, trial_uids: Iterable[str]) -> None:
        """Forget trials; one that is not there is no error."""

    def held(self) -> set[str]:
        """The uids of all trials that the log has something of: `delete(held() - alive)` is the sweep."""


class SqlLog:
    """The observation log in a database, shared with whoever else uses it; `create_all` has made its tables."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = writing(engine)

    def append(self, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
        """Record measurements in one transaction."""
        with self._writing.begin() as connection:
            append(connection, rows)

    def read(self, trial_uid: str, attempt: str | None = None) -> list[Measurement]:
        """The measurements of an attempt, by default the last, in order of position."""
        with self.engine.connect() as connection:
            if attempt is None:
                attempt = last_attempt(connection, trial_uid)
            query = select(*MEASUREMENT).where(logs.c.trial_uid == trial_uid, logs.c.attempt == attempt)
            return [measurement(row) for row in connection.execute(query.order_by(logs.c.position, logs.c.id))]

    def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor: the new rows are read once, and those of other trials passed over."""
        with self.engine.connect() as connection:
            if cursor <= 0 and len(trial_uids) <= MANY:
                return _from_the_beginning(connection, trial_uids)
            return _from_cursor(connection, cursor, trial_uids)

    def delete(self, trial_uids: Iterable[str]) -> None:
        """Forget trials: their measurements, runs and stops."""
        with self._writing.begin() as connection:
            for uid in trial_uids:
                for table in (logs, runs, stops):
                    connection.execute(delete(table).where(table.c.trial_uid == uid))

    def held(self) -> set[str]:
        """The uids of all trials in the log; rows that no run could be found for belong to no uid and are not named."""
        queries = [select(table.c.trial_uid).where(table.c.attempt != "").distinct() for table in (logs, runs, stops)]
        with self.engine.connect() as connection:
            return {uid for query in queries for uid in connection.scalars(query)}


def append(connection: Connection, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
    """Record measurements inside the caller's transaction."""
    values = [
        {
            "trial_uid": run.trial_uid,
            "attempt": run.attempt,
            "metric_name": item.metric,
            "position": item.position,
            "namespace": run.namespace,
            "trial_name": run.trial_name,
            "time": to_microseconds(item.time),
            "value": item.value,
        }
        for run, measurements in rows
        for item in measurements
    ]
    if values:
        connection.execute(insert_new(connection, logs), values)


def last_attempt(connection: Connection, trial_uid: str) -> str:
    """The attempt that began to report last; empty where none has."""
    began = func.min(logs.c.id)
    query = select(logs.c.attempt).where(logs.c.trial_uid == trial_uid).group_by(logs.c.attempt)
    return connection.scalar(query.order_by(began.desc()).limit(1)) or ""


def measurement(row: Any) -> Measurement:
    """The measurement of a row of MEASUREMENT's columns."""
    return Measurement(row.metric_name, row.value, from_microseconds(row.time), row.position)


# What `measurement` needs of a row.
MEASUREMENT: Final = (logs.c.metric_name, logs.c.value, logs.c.time, logs.c.position)
_REPORTED: Final = (logs.c.id, logs.c.trial_uid, logs.c.attempt, *MEASUREMENT)


def _reported(row: Any) -> Reported:
    return Reported(row.trial_uid, row.attempt, measurement(row))


def _from_the_beginning(connection: Connection, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
    """By the trials' own index: the log may be long and these trials few."""
    head = connection.scalar(select(func.max(logs.c.id))) or 0
    query = select(*_REPORTED).where(logs.c.trial_uid.in_(trial_uids), logs.c.id <= head).order_by(logs.c.id)
    return head, [_reported(row) for row in connection.execute(query)]


def _from_cursor(connection: Connection, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
    """By id, a page at a time."""
    wanted, found = frozenset(trial_uids), []
    while True:
        page = connection.execute(select(*_REPORTED).where(logs.c.id > cursor).order_by(logs.c.id).limit(PAGE)).all()
        found += [_reported(row) for row in page if row.trial_uid in wanted]
        if page:
            cursor = page[-1].id
        if len(page) < PAGE:
            return cursor, found
