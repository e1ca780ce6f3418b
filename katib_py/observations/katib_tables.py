"""Katib's own table of measurements, which has the name of ours: taken in, and written again.

Its rows know the name of their trial and nothing else. They are kept as what is reported by name alone is kept
(`reports.unplaced_run`), and found by name as before; a controller that knows the trial adopts them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Connection,
    DateTime,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    cast,
    delete,
    extract,
    func,
    insert,
    inspect,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects import mysql, postgresql

from katib_py.core.errors import StoreUnavailable
from katib_py.core.times import to_microseconds
from katib_py.observations.database import logs, metadata, runs
from katib_py.observations.reports import unplaced_run

ASIDE: Final = "katib_observation_logs"  # where Katib's table is kept once it was taken in
DRAFT: Final = "katib_observation_logs_draft"
OURS: Final = "katib_py_observation_logs"

_NO_TIME: Final = to_microseconds(datetime(1, 1, 1, tzinfo=UTC))
_LONGEST_NAME: Final = 255
_LONGEST_VALUE: Final = 16_000  # characters, which MySQL's TEXT certainly holds

# What the databases say differently.
_MICROSECONDS: Final[dict[str, Callable[[Any], ColumnElement[int]]]] = {
    "postgresql": lambda time: cast(func.round(extract("epoch", time) * 1_000_000), BigInteger),
    "mysql": lambda time: func.timestampdiff(text("MICROSECOND"), "1970-01-01", time),
}
_TIMESTAMP: Final[dict[str, ColumnElement[datetime]]] = {
    "postgresql": literal_column(
        "timestamp 'epoch' + observation_logs.time / 1000000 * interval '1 second'"
        " + observation_logs.time % 1000000 * interval '1 microsecond'"
    ),
    "mysql": func.timestampadd(text("MICROSECOND"), logs.c.time, "1970-01-01 00:00:00.000000"),
}


def is_there(connection: Connection) -> bool:
    """Whether the table of the name that we use is Katib's."""
    found = inspect(connection)
    if not found.has_table(logs.name):
        return False
    return "trial_uid" not in {column["name"] for column in found.get_columns(logs.name)}


def is_aside(connection: Connection) -> bool:
    """Whether Katib's table was moved aside."""
    return inspect(connection).has_table(ASIDE)


def move_aside(connection: Connection) -> None:
    """Rename Katib's table; its rows stay as they are."""
    if is_aside(connection):
        found = f"Katib's table {logs.name} is to be taken over, but {ASIDE} of an earlier time is still there"
        raise StoreUnavailable(f"{found}: drop {ASIDE}, or give it another name")
    connection.execute(text(f"ALTER TABLE {logs.name} RENAME TO {ASIDE}"))


def take_in(connection: Connection) -> None:
    """Copy every row of Katib's table into ours, in one statement; raises StoreUnavailable were one left out."""
    katib = _katib_table(ASIDE)
    names = connection.scalars(_exact_names(connection, katib)).all()
    if names:
        connection.execute(insert(runs), [{**unplaced_run("", name)._asdict(), "started": 0} for name in names])
    columns = ["trial_uid", "attempt", "metric_name", "position", "namespace", "trial_name", "time", "value"]
    connection.execute(insert(logs).from_select(columns, _rows(connection, katib)))
    connection.execute(delete(runs).where(runs.c.attempt == ""))
    there, taken = _count(connection, katib), _count(connection, logs)
    if taken != there:
        raise StoreUnavailable(f"of {there} rows of Katib's table only {taken} could be taken in; nothing was changed")


def draft(connection: Connection) -> int:
    """Write a table as Katib makes it, of every trial's last attempt, under another name; how many rows it has."""
    katib = _katib_table(DRAFT)
    katib.drop(connection, checkfirst=True)
    katib.create(connection)
    columns = ["trial_name", "time", "metric_name", "value"]
    connection.execute(insert(katib).from_select(columns, _last_attempts(connection)))
    return _count(connection, katib)


def put_in_place(connection: Connection) -> None:
    """Give the draft Katib's name, and drop what is ours; at any moment the table of that name is a whole one."""
    if connection.dialect.name == "mysql":
        connection.execute(text(f"RENAME TABLE {logs.name} TO {OURS}, {DRAFT} TO {logs.name}"))
    else:
        connection.execute(text(f"ALTER TABLE {logs.name} RENAME TO {OURS}"))
        connection.execute(text(f"ALTER TABLE {DRAFT} RENAME TO {logs.name}"))
    for name in (OURS, ASIDE, *(table.name for table in metadata.sorted_tables if table is not logs)):
        connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _katib_table(name: str) -> Table:
    moment = DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
    return Table(
        name,
        MetaData(),
        Column("trial_name", String(_LONGEST_NAME), nullable=False),
        Column("id", Integer, primary_key=True, autoincrement=True),
        Column("time", moment.with_variant(postgresql.TIMESTAMP(precision=6), "postgresql")),
        Column("metric_name", String(_LONGEST_NAME), nullable=False),
        Column("value", Text, nullable=False),
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
    )


def _exact_names(connection: Connection, katib: Table) -> Select[Any]:
    """The names of the trials; MySQL takes those for equal that differ in case, unless it is kept from it."""
    if connection.dialect.name == "mysql":
        return select(func.min(katib.c.trial_name)).group_by(func.hex(katib.c.trial_name))
    return select(katib.c.trial_name).distinct()


def _rows(connection: Connection, katib: Table) -> Select[Any]:
    """Katib's rows with our columns. A position is the time and as many microseconds as rows of the metric came before.

    So positions differ, follow the times, and are none below them, as `reports.append_by_time` expects.
    """
    k, dialect = katib.c, connection.dialect.name
    time = func.coalesce(_MICROSECONDS[dialect](k.time), _NO_TIME)
    before = func.row_number().over(partition_by=[k.trial_name, k.metric_name], order_by=[time, k.id]) - 1
    name = k.trial_name.collate("C") if dialect == "postgresql" else k.trial_name
    # MySQL's row numbers have no sign, and neither would a sum with them.
    columns = (runs.c.trial_uid, runs.c.attempt, k.metric_name, time + cast(before, BigInteger), runs.c.namespace)
    query = select(*columns, runs.c.trial_name, time, k.value).select_from(katib.join(runs, runs.c.trial_name == name))
    # Trial after trial, as the indexes are: by number it would take several times as long.
    return query.where(runs.c.attempt == "").order_by(runs.c.trial_uid, k.id)


def _last_attempts(connection: Connection) -> Select[Any]:
    """The measurements of every trial's last attempt with Katib's columns; what these cannot hold is cut."""
    whose = [logs.c.namespace, logs.c.trial_name, logs.c.trial_uid, logs.c.attempt]
    begun = select(*whose, func.min(logs.c.id).label("begun")).group_by(*whose).subquery()
    newest = func.row_number().over(partition_by=[begun.c.namespace, begun.c.trial_name], order_by=begun.c.begun.desc())
    ranked = select(begun, newest.label("rank_")).subquery()
    same = [column == ranked.c[column.name] for column in whose]
    on_mysql = connection.dialect.name == "mysql"
    value = func.left(logs.c.value, _LONGEST_VALUE) if on_mysql else logs.c.value
    metric = func.left(logs.c.metric_name, _LONGEST_NAME)
    columns = (logs.c.trial_name, _TIMESTAMP[connection.dialect.name], metric, value)
    query = select(*columns).join(ranked, same[0] & same[1] & same[2] & same[3]).where(ranked.c.rank_ == 1)
    return query.order_by(logs.c.time, logs.c.position, logs.c.id)
