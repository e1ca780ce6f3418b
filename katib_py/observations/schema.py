"""The tables of the observation log: made where they are missing, brought up to date, kept from older programs.

A new database gets the tables as they are now (a test holds them against what the migrations make), one of an earlier
program gets the migrations since. Alembic is imported for the latter only: to start stays quick, and who makes no use
of an old database need not have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, func, insert, inspect, select, text

from katib_py.core.errors import InvalidInput, Problem, StoreUnavailable
from katib_py.observations import katib_tables
from katib_py.observations.address import create_folder, shown, url_of
from katib_py.observations.database import MYSQL, logs, metadata, writing
from katib_py.observations.mariadb import VERSION_TABLE
from katib_py.observations.postgres import take_turn

FIRST: Final = "0001"  # what programs made that noted no version
WAIT_SECONDS: Final = 3600  # for somebody else who is taking over a large database

_version: Final = Table(VERSION_TABLE, MetaData(), Column("version_num", String(32), primary_key=True), **MYSQL)


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables, the number of their newest revision, and where the migrations are that lead to it."""

    tables: MetaData
    head: str
    migrations: str


SCHEMA: Final = Schema(metadata, "0001", "katib_py.observations:migrations")


def prepare(engine: Engine, schema: Schema = SCHEMA, takes_over: bool = False) -> None:
    """Have the tables there and up to date, whoever else does the same at this moment.

    `takes_over`: a table of Katib's own makes way, and its rows are taken in. Raises StoreUnavailable, OSError.
    """
    create_folder(engine)
    with engine.connect() as connection:
        if _stamped(connection) == schema.head:
            return
    with _alone(engine) as connection:
        bring_up(connection, schema, takes_over)


def bring_up(connection: Connection, schema: Schema = SCHEMA, takes_over: bool = False) -> None:
    """`prepare` in a transaction of the caller's that excludes other writers; raises StoreUnavailable."""
    version = _stamped(connection) or _make(connection, schema, takes_over)
    if int(version) > int(schema.head):
        found = f"tables of a newer katib-py (revision {version}; this one knows up to {schema.head})"
        raise _refused(connection, f"holds {found}: use that version or a newer one; nothing was changed")
    if version != schema.head:
        _upgrade(connection, schema, version)


def check(engine: Engine, schema: Schema = SCHEMA) -> None:
    """Make nothing, but raise StoreUnavailable where the tables are not there and up to date; or an error of SQL."""
    with engine.connect() as connection:
        version = _stamped(connection)
        if version != schema.head:
            found = "not there" if version is None else f"of revision {version}, not {schema.head}"
            told = "SKIP_DB_INITIALIZATION is set, so they are not made"
            hint = "start katib-py db-manager once without it, as a role that may make tables"
            raise _refused(connection, f"cannot be used: its tables are {found}, and {told}; {hint}")
        for table in schema.tables.sorted_tables:
            connection.execute(select(*table.columns).limit(1))


def give_back(engine: Engine) -> int:
    """Have Katib's own table in place of ours, for Katib to go on with; how many measurements it holds.

    Raises InvalidInput for a database that Katib cannot use, StoreUnavailable, or an error of SQL.
    """
    if engine.dialect.name not in {"mysql", "postgresql"}:
        problem = f"is given for {shown(url_of(engine))}; Katib works on mysql:// and postgresql:// only"
        raise InvalidInput([Problem("--export-katib", problem)])
    with _alone(engine) as connection:
        bring_up(connection)
        count = katib_tables.draft(connection)
        _version.drop(connection)
        katib_tables.put_in_place(connection)
    return count


def _stamped(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_version.name):
        return None
    return connection.scalar(select(_version.c.version_num))


def _make(connection: Connection, schema: Schema, takes_over: bool) -> str:
    """Make the tables, and note their version as the last thing; MySQL may have been interrupted anywhere before."""
    if katib_tables.is_there(connection):
        if not takes_over:
            hint = "katib-py db-manager takes it over; or name another database"
            raise _refused(connection, f"holds Katib's own table {logs.name}: {hint}")
        katib_tables.move_aside(connection)
    moved = katib_tables.is_aside(connection)
    # Where a statement that makes a table is part of the transaction, tables without a version are old, not unfinished.
    old = not moved and connection.dialect.name != "mysql" and inspect(connection).has_table(logs.name)
    if not old:
        schema.tables.create_all(connection)
    _version.create(connection, checkfirst=True)
    if moved:
        katib_tables.take_in(connection)
    version = FIRST if old else schema.head
    connection.execute(insert(_version).values(version_num=version))
    return version


def _upgrade(connection: Connection, schema: Schema, version: str) -> None:
    try:
        from alembic import command
        from alembic.config import Config
    except ImportError:
        found = f"tables of an earlier katib-py (revision {version}, not {schema.head})"
        raise _refused(
            connection, f"holds {found}: install the package alembic, which brings them up to date"
        ) from None
    config = Config()
    config.set_main_option("script_location", schema.migrations.replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, schema.head)


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction of the only one who looks after the tables."""
    if engine.dialect.name == "sqlite":
        with writing(engine).begin() as connection:
            yield connection
    elif engine.dialect.name == "postgresql":
        with engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            connection.execute(text(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'"))
            take_turn(connection)
            yield connection
    else:
        with _named_lock(engine) as connection:
            yield connection


@contextmanager
def _named_lock(engine: Engine) -> Iterator[Connection]:
    """On MySQL: it commits by itself whenever a table is made, which would let go of any other lock."""
    name = func.left(func.concat("katib ", func.database()), 64)
    with engine.connect() as connection:
        if not connection.scalar(select(func.get_lock(name, WAIT_SECONDS))):
            raise _refused(connection, f"is being prepared by somebody else for more than {WAIT_SECONDS} s")
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(select(func.release_lock(name)))


def _refused(connection: Connection, why: str) -> StoreUnavailable:
    return StoreUnavailable(f"the database {shown(url_of(connection.engine))} {why}")
