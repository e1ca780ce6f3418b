"""PostgreSQL as it must be for the tables here: writers that take turns, patience that ends, text that it can keep."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Dialect, Engine, Text, TypeDecorator, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

# Any number, the same for everybody who writes. A lock on it belongs to one database, as the tables do.
_TAKE_LOCK: Final = f"SELECT pg_advisory_xact_lock({0x6B61746962})"
# To try a connection before every use would make a commit a fifth slower.
IDLE_SECONDS: Final = 1.0


class PostgresText(TypeDecorator[str]):
    """Text on PostgreSQL: of any length, compared by code points, and without the NUL that it cannot keep."""

    impl = Text(collation="C")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """A NUL is kept as the sign for what cannot be shown."""
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value is not None else None


def prepare(engine: Engine, busy_seconds: float, idle_seconds: float = IDLE_SECONDS) -> None:
    """Have writers wait so long for each other, and connections work.

    A connection that nobody has used for `idle_seconds` may have been cut: it is tried first, and made anew.
    """
    event.listen(engine, "connect", partial(_set_patience, int(busy_seconds * 1000)))
    event.listen(engine, "begin", _begin)
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", partial(_try_idle, engine.dialect, idle_seconds))


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write: one after the other, as on SQLite.

    So whoever counts and then takes (slots, a lease, a position in the log) needs no lock of its own, and rows of the
    log become visible in the order of their ids: a follower's cursor passes over none.
    """
    # The lock is worth nothing to a transaction that goes on seeing what was before it was granted.
    return engine.execution_options(writes=True, isolation_level="READ COMMITTED")


def _set_patience(milliseconds: int, connection: Any, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {milliseconds}")
    # A machine that falls asleep while it writes must not keep everybody else from writing.
    cursor.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
    cursor.close()
    connection.commit()


def _note_time(_: Any, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _try_idle(
    dialect: Dialect, idle_seconds: float, connection: Any, record: ConnectionPoolEntry, _: PoolProxiedConnection
) -> None:
    used = record.info.get("used")
    if used is None or time.monotonic() - used < idle_seconds:
        return
    try:
        dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DisconnectionError from error  # the pool makes another one then


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(_TAKE_LOCK)
