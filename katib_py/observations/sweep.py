"""Which trials something is kept of, for whoever deletes what is left of those that are gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, FromClause, Table, exists, func, literal, select, true

from katib_py.observations.database import logs, runs, stops

# The uid of a trial that only its name is known of begins so; no object's does.
UNPLACED: Final = "name/"

MOST: Final = 1_000  # uids a page


def list_trials(
    connection: Connection, after: str, limit: int = MOST, namespace: str = ""
) -> tuple[list[str], str | None]:
    """Uids above `after` in order, of one namespace or of all, and where to go on; None once that was the end.

    What only a trial's name is known of is nobody's to sweep, and not named.
    """
    limit = min(limit, MOST) or MOST
    tables = (logs, runs) if namespace else (logs, runs, stops)
    looked = [_trials(connection, table, (after, limit), namespace) for table in tables]
    end = min((max(trials) for trials in looked if len(trials) == limit), default=None)
    found = {uid for trials in looked for uid, counts in trials.items() if counts and (end is None or uid <= end)}
    return sorted(uid for uid in found if not uid.startswith(UNPLACED)), end


def _trials(connection: Connection, table: Table, page: tuple[str, int], namespace: str) -> dict[str, bool]:
    """The next uids of a table, and whether they are of the namespace."""
    found = _grouped(table, *page) if connection.dialect.name == "mysql" else _leapt(table, *page)
    uid = found.c.trial_uid
    theirs = exists().where(table.c.trial_uid == uid, table.c.namespace == namespace) if namespace else true()
    return {row[0]: bool(row[1]) for row in connection.execute(select(uid, theirs).where(uid.is_not(None)))}


def _leapt(table: Table, after: str, limit: int) -> FromClause:
    """From each uid the index leads to the next one, past all rows of the trial: a GROUP BY would read all of it."""
    uid = table.c.trial_uid
    first = select(func.min(uid).label(uid.name), literal(1).label("step")).where(uid > after)
    found = first.cte("found", recursive=True)
    following = select(func.min(uid)).where(uid > found.c.trial_uid).scalar_subquery()
    goes_on = (found.c.trial_uid.is_not(None), found.c.step < limit)
    return found.union_all(select(following, found.c.step + 1).where(*goes_on))


def _grouped(table: Table, after: str, limit: int) -> FromClause:
    """MySQL and MariaDB leap by themselves, and do not where they are told how."""
    uid = table.c.trial_uid
    return select(uid).where(uid > after).group_by(uid).order_by(uid).limit(limit).subquery("found")
