"""What was recorded without a known run, by a trial's name or uid alone, given to the run once somebody knows it."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from katib_py.observations.database import logs
from katib_py.observations.log import Run
from katib_py.observations.reports import unplaced_run


def adopt(connection: Connection, run: Run) -> int:
    """Give the run what came by its trial's name alone, in its namespace or in none, or by its uid; how many rows.

    They keep their place in the log: whoever follows it has passed them already. Call it in a transaction that excludes
    other writers.
    """
    named = {unplaced_run(namespace, run.trial_name) for namespace in ("", run.namespace)}
    return sum(_give(connection, source, run) for source in {*named, run._replace(attempt="")} - {run})


def _give(connection: Connection, source: Run, run: Run) -> int:
    theirs = (logs.c.trial_uid == source.trial_uid) & (logs.c.attempt == source.attempt)
    rows = connection.execute(select(logs.c.id, logs.c.metric_name, logs.c.position).where(theirs)).all()
    if not rows:
        return 0
    own = (logs.c.trial_uid == run.trial_uid) & (logs.c.attempt == run.attempt)
    kept = {
        (row.metric_name, row.position)
        for row in connection.execute(select(logs.c.metric_name, logs.c.position).where(own))
    }
    taken = kept | {(row.metric_name, row.position) for row in rows}
    for row in rows:
        if (row.metric_name, row.position) in kept:
            position = row.position
            while (row.metric_name, position) in taken:
                position += 1
            taken.add((row.metric_name, position))
            connection.execute(update(logs).where(logs.c.id == row.id).values(position=position))
    connection.execute(update(logs).where(theirs).values(run._asdict()))
    return len(rows)
