"""What arrives over the network: placed into a run, read by the trial's name, and answered with stop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import NAMESPACE_OID, uuid5

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, update

from katib_py.core.objective import Measurement
from katib_py.core.times import to_microseconds
from katib_py.observations.database import insert_new, logs, runs, stops
from katib_py.observations.log import MEASUREMENT, Run, append, kept_name, measurement
from katib_py.observations.sweep import UNPLACED

# Katib's SDK cuts its times to whole seconds: a report may seem up to one older than the run that made it.
_SECOND: Final = 1_000_000


class Query(NamedTuple):
    """Which of a trial's measurements: of every metric where it is empty, from and to these times inclusive."""

    metric: str = ""
    start: datetime | None = None
    end: datetime | None = None


def begin_run(connection: Connection, run: Run, started: datetime) -> None:
    """Note that an attempt begins, before it is started: reports that name only the trial will be placed into it."""
    row = {**run._asdict(), "started": to_microseconds(started)}
    connection.execute(insert_new(connection, runs), row)


def record_stop(connection: Connection, trial_uid: str, attempt: str, reason: str) -> None:
    """Tell an attempt to stop: the next report of it is answered so. A later reason replaces an earlier one."""
    key = {"trial_uid": trial_uid, "attempt": attempt}
    if not connection.execute(update(stops).filter_by(**key).values(reason=reason)).rowcount:
        connection.execute(insert_new(connection, stops), {**key, "reason": reason})


def stop_of(connection: Connection, trial_uid: str, attempt: str) -> str | None:
    """Why the attempt was told to stop; None while it was not."""
    query = select(stops.c.reason).where(stops.c.trial_uid == trial_uid, stops.c.attempt == attempt)
    return connection.scalar(query)


def unplaced_run(namespace: str, trial_name: str) -> Run:
    """What a trial that no run is known of reports into: a uid made of its name, and no attempt."""
    return Run(namespace, trial_name, f"{UNPLACED}{uuid5(NAMESPACE_OID, f'{namespace}/{trial_name}')}", "")


def place(connection: Connection, trial: Run, time: datetime | None) -> Run:
    """The run that a report belongs to which names its trial but no attempt: the newest that had begun by then.

    Where that tells nothing (no time, or one before all runs) it is the newest. A trial named by its uid has no other's
    runs, be it of the same name; without any it has no attempt. One named by its name alone, of which no run is known
    as under Katib's own controller, gets the `unplaced_run`.
    """
    query = select(runs).where(_is(runs, trial.namespace, trial.trial_name)).order_by(runs.c.started.desc())
    if trial.trial_uid:
        query = query.where(runs.c.trial_uid == trial.trial_uid)
    rows = connection.execute(query).all()
    if not rows:
        return trial if trial.trial_uid else unplaced_run(trial.namespace, trial.trial_name)
    begun = [row for row in rows if time is not None and row.started <= to_microseconds(time) + _SECOND]
    row = (begun or rows)[0]
    return Run(row.namespace, row.trial_name, row.trial_uid, row.attempt)


def append_by_time(connection: Connection, run: Run, measurements: Sequence[Measurement]) -> None:
    """Record measurements whose reporter gives no positions: a position is the time, moved on where that is taken.

    A repeated report is harmless: of equal metrics, values and times only as many are added as the report has more of
    them than the log. Call it in a transaction that excludes other writers.
    """
    measurements = [item._replace(metric=kept_name(item.metric)) for item in measurements]
    if not measurements:
        return
    times = [to_microseconds(item.time) for item in measurements]
    # A row's position is its time or later, so every row that a new one could meet is in this range.
    query = select(*MEASUREMENT).where(
        logs.c.trial_uid == run.trial_uid,
        logs.c.attempt == run.attempt,
        logs.c.metric_name.in_({item.metric for item in measurements}),
        logs.c.position >= min(times),
    )
    known = [measurement(row) for row in connection.execute(query)]
    there = Counter((item.metric, item.value, item.time) for item in known)
    taken = {(item.metric, item.position) for item in known}
    added = []
    for item, position in zip(measurements, times, strict=True):
        key = (item.metric, item.value, item.time)
        if there[key]:
            there[key] -= 1
            continue
        while (item.metric, position) in taken:
            position += 1  # noqa: PLW2901
        taken.add((item.metric, position))
        added.append(item._replace(position=position))
    append(connection, [(run, added)])


def read_named(connection: Connection, namespace: str, trial_name: str, query: Query) -> list[Measurement]:
    """The measurements of the named trial's last attempt in order of time; of every namespace where it is empty."""
    last = select(logs.c.trial_uid, logs.c.attempt).where(_is(logs, namespace, trial_name))
    last = last.group_by(logs.c.trial_uid, logs.c.attempt).order_by(func.min(logs.c.id).desc()).limit(1)
    found = connection.execute(last).first()
    if found is None:
        return []
    rows = select(*MEASUREMENT).where(logs.c.trial_uid == found.trial_uid, logs.c.attempt == found.attempt)
    if query.metric:
        rows = rows.where(logs.c.metric_name == query.metric)
    if query.start is not None:
        rows = rows.where(logs.c.time >= to_microseconds(query.start))
    if query.end is not None:
        rows = rows.where(logs.c.time <= to_microseconds(query.end))
    ordered = rows.order_by(logs.c.time, logs.c.position, logs.c.id)
    return [measurement(row) for row in connection.execute(ordered)]


def delete_named(connection: Connection, namespace: str, trial_name: str) -> None:
    """Forget what the named trial measured; of every namespace where it is empty."""
    connection.execute(delete(logs).where(_is(logs, namespace, trial_name)))


def _is(table: Table, namespace: str, trial_name: str) -> ColumnElement[bool]:
    named = table.c.trial_name == trial_name
    return and_(named, table.c.namespace == namespace) if namespace else named
