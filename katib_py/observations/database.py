"""The tables of the observation log, and engines that share a database file well."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Insert,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.pool import ConnectionPoolEntry

from katib_py.observations import mariadb, postgres
from katib_py.observations.address import KINDS, engine_of
from katib_py.observations.postgres import PostgresText

BUSY_SECONDS: Final = 30.0


def string(length: int) -> String:
    """Text of at most this length; SQLite does not look at the length, and PostgreSQL is not told it."""
    return String(length).with_variant(PostgresText(), "postgresql")


TEXT = Text().with_variant(PostgresText(), "postgresql").with_variant(mysql.LONGTEXT(), "mysql")
_ID = BigInteger().with_variant(Integer, "sqlite")

# MySQL compares text without regard to case unless told otherwise: Loss and loss are two metrics.
MYSQL: Final[dict[str, Any]] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}

# So long may a metric's name be as part of a key: MySQL's keys have 3072 bytes, PostgreSQL's less than that.
LONGEST_METRIC: Final = 600

metadata: Final = MetaData()

# `id` grows with every row and is never used twice: the cursor of whoever follows the log. `time` is microseconds since
# the epoch, UTC. A measurement is known by its unique key, so that a repeated report is harmless.
logs: Final = Table(
    "observation_logs",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("trial_uid", string(64), nullable=False),
    Column("attempt", string(64), nullable=False),
    Column("metric_name", string(LONGEST_METRIC), nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("namespace", string(63), nullable=False),
    Column("trial_name", string(255), nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("value", TEXT, nullable=False),
    UniqueConstraint("trial_uid", "attempt", "metric_name", "position", name="observation_key"),
    Index("observation_trial", "trial_name"),
    sqlite_autoincrement=True,
    **MYSQL,
)

# The attempts of trials that report over the network: reports that name only the trial are placed by them.
runs: Final = Table(
    "observation_runs",
    metadata,
    Column("trial_uid", string(64), primary_key=True),
    Column("attempt", string(64), primary_key=True),
    Column("namespace", string(63), nullable=False),
    Column("trial_name", string(255), nullable=False),
    Column("started", BigInteger, nullable=False),
    Index("observation_run_name", "trial_name"),
    **MYSQL,
)

# The attempts that have been told to stop, and why.
stops: Final = Table(
    "observation_stops",
    metadata,
    Column("trial_uid", string(64), primary_key=True),
    Column("attempt", string(64), primary_key=True),
    Column("reason", TEXT, nullable=False),
    **MYSQL,
)


def connect(url: str, kinds: Collection[str] = KINDS) -> Engine:
    """An engine for the database; an SQLite file is put into WAL mode, so that readers never wait for a writer.

    Transactions begun through `writing(engine)` come one after the other. Raises InvalidInput for a URL that names no
    database of these kinds.
    """
    engine = engine_of(url, kinds)
    if engine.dialect.name == "postgresql":
        postgres.prepare(engine, BUSY_SECONDS)
    if engine.dialect.name == "mysql":
        mariadb.prepare(engine, BUSY_SECONDS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write.

    They take the write lock at their start. An SQLite transaction that starts as a reader and then writes fails at
    once, without waiting, when somebody else has written in between.
    """
    if engine.dialect.name == "postgresql":
        return postgres.writing(engine)
    if engine.dialect.name == "mysql":
        return mariadb.writing(engine)
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def insert_new(connection: Connection, table: Table) -> Insert:
    """An INSERT that passes over the rows whose key is there already."""
    name = connection.dialect.name
    if name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    if name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    # INSERT IGNORE would also pass over values that do not fit.
    first = next(iter(table.primary_key.columns))
    return mysql.insert(table).on_duplicate_key_update({first.name: first})


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would come too late; _begin_sqlite says it
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    _enter_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


LOCKED: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def _enter_wal(cursor: Any) -> None:
    """SQLite does not wait for its busy timeout when several connections do this to a new file at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # Only a lock passes; a read-only folder or a full disk stays as it is.
            if error.sqlite_errorcode & 0xFF not in LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
