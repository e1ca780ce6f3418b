"""The observation log: append, read, follow, delete; a measurement is kept once however often it is reported."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import Connection, Engine, delete, func, select

from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds, to_microseconds
from katib_py.observations import sweep
from katib_py.observations.database import LONGEST_METRIC, insert_new, logs, runs, stops, writing

PAGE: Final = 10_000  # rows that are looked at in one query of a follower
# Trial uids that one query may name; an older SQLite takes less than a thousand parameters.
MANY: Final = 5_000 if sqlite3.sqlite_version_info >= (3, 32) else 500


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
    """The observation log in a database, shared with whoever else uses it; `schema.prepare` has made its tables."""

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
            return [item for _, items in read_runs(connection, [(trial_uid, attempt or "")]) for item in items]

    def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor: the new rows are read once, and those of other trials passed over."""
        with self.engine.connect() as connection:
            found = list(pages(connection, cursor, trial_uids))
        return found[-1][0], [reported(row) for _, rows in found for row in rows]

    def delete(self, trial_uids: Iterable[str]) -> None:
        """Forget trials: their measurements, runs and stops."""
        with self._writing.begin() as connection:
            delete_trials(connection, list(trial_uids))

    def held(self) -> set[str]:
        """The uids of all trials in the log; rows that no run could be found for belong to no uid and are not named."""
        found: set[str] = set()
        after: str | None = ""
        with self.engine.connect() as connection:
            while after is not None:
                uids, after = sweep.list_trials(connection, after)
                found.update(uids)
        return found


def append(connection: Connection, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
    """Record measurements inside the caller's transaction."""
    values = [
        {
            "trial_uid": run.trial_uid,
            "attempt": run.attempt,
            "metric_name": kept_name(item.metric),
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


def kept_name(metric: str) -> str:
    """The metric's name; one that is too long for a key is cut, with a digest of the whole in place of the rest."""
    if len(metric) <= LONGEST_METRIC:
        return metric
    digest = hashlib.sha256(metric.encode()).hexdigest()[:32]
    return f"{metric[: LONGEST_METRIC - len(digest) - 1]}…{digest}"


def read_runs(
    connection: Connection, keys: Sequence[tuple[str, str]]
) -> Iterator[tuple[tuple[str, str], list[Measurement]]]:
    """The measurements of each run, named by trial uid and attempt, in order of position, run after run.

    An empty attempt is the last one. Of MANY trials it is one query, whose rows are not all held at once.
    """
    wanted = {key for key in keys if key[1]} | _last_attempts(connection, [uid for uid, attempt in keys if not attempt])
    key = (logs.c.trial_uid, logs.c.attempt)
    for uids in _some({uid for uid, _ in wanted}):
        query = select(logs.c.id, *key, *MEASUREMENT).where(logs.c.trial_uid.in_(uids)).order_by(*key)
        rows = connection.execute(query.execution_options(yield_per=PAGE))
        for (uid, attempt), group in groupby(rows, lambda row: (row.trial_uid, row.attempt)):
            if (uid, attempt) in wanted:
                yield (uid, attempt), [measurement(row) for row in sorted(group, key=_by_position)]


def pages(
    connection: Connection, cursor: int, trial_uids: Collection[str] | None, namespace: str = ""
) -> Iterator[tuple[int, list[Any]]]:
    """What came after the cursor of these trials, or of all, as rows of REPORTED, each page with its cursor."""
    if trial_uids is not None and cursor <= 0 and len(trial_uids) <= MANY:
        # By the trials' own index: the log may be long and these trials few.
        head = connection.scalar(select(func.max(logs.c.id))) or 0
        query = select(*REPORTED).where(logs.c.trial_uid.in_(trial_uids), logs.c.id <= head).order_by(logs.c.id)
        yield head, list(connection.execute(query))
        return
    wanted = None if trial_uids is None else frozenset(trial_uids)
    while True:
        query = select(*REPORTED).where(logs.c.id > cursor).order_by(logs.c.id).limit(PAGE)
        page = connection.execute(query).all()
        if page:
            cursor = page[-1].id
        rows = [row for row in page if wanted is None or row.trial_uid in wanted]
        yield cursor, [row for row in rows if row.namespace == namespace] if namespace else rows
        if len(page) < PAGE:
            return


def delete_trials(connection: Connection, trial_uids: Collection[str]) -> None:
    """Forget trials inside the caller's transaction."""
    for uids in _some(trial_uids):
        for table in (logs, runs, stops):
            connection.execute(delete(table).where(table.c.trial_uid.in_(uids)))


def measurement(row: Any) -> Measurement:
    """The measurement of a row of MEASUREMENT's columns."""
    return Measurement(row.metric_name, row.value, from_microseconds(row.time), row.position)


def reported(row: Any) -> Reported:
    """A row of REPORTED as a follower meets it."""
    return Reported(row.trial_uid, row.attempt, measurement(row))


# What `measurement` needs of a row, and `reported`.
MEASUREMENT: Final = (logs.c.metric_name, logs.c.value, logs.c.time, logs.c.position)
REPORTED: Final = (logs.c.id, logs.c.trial_uid, logs.c.attempt, logs.c.namespace, *MEASUREMENT)


def _last_attempts(connection: Connection, trial_uids: Collection[str]) -> set[tuple[str, str]]:
    """Of each trial the attempt that began to report last."""
    last: dict[str, tuple[int, str]] = {}
    for uids in _some(trial_uids):
        began = func.min(logs.c.id).label("began")
        query = select(logs.c.trial_uid, logs.c.attempt, began).where(logs.c.trial_uid.in_(uids))
        for row in connection.execute(query.group_by(logs.c.trial_uid, logs.c.attempt)):
            last[row.trial_uid] = max(last.get(row.trial_uid, (0, "")), (row.began, row.attempt))
    return {(uid, attempt) for uid, (_, attempt) in last.items()}


def _by_position(row: Any) -> tuple[int, int]:
    return row.position, row.id


def _some(trial_uids: Collection[str]) -> Iterator[Sequence[str]]:
    """As many at a time as a query may name."""
    every = sorted(trial_uids)
    return (every[start : start + MANY] for start in range(0, len(every), MANY))
