"""PostgreSQL as it must be for the tables here: writers that take turns, patience that ends, text that it can keep."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, Text, TypeDecorator, event
from sqlalchemy.pool import ConnectionPoolEntry

from katib_py.observations.connections import IDLE_SECONDS, try_idle_ones

# Any number, the same for everybody who writes. A lock on it belongs to one database, as the tables do.
_TAKE_LOCK: Final = f"SELECT pg_advisory_xact_lock({0x6B61746962})"


class PostgresText(TypeDecorator[str]):
    """Text on PostgreSQL: of any length, compared by code points, and without the NUL that it cannot keep."""

    impl = Text(collation="C")
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """A NUL is kept as the sign for what cannot be shown."""
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value is not None else None


def prepare(engine: Engine, busy_seconds: float, idle_seconds: float = IDLE_SECONDS) -> None:
    """Have writers wait so long for each other, and connections work that nobody has used for `idle_seconds`."""
    event.listen(engine, "connect", partial(_set_patience, int(busy_seconds * 1000)))
    event.listen(engine, "begin", _begin)
    try_idle_ones(engine, idle_seconds)


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


def take_turn(connection: Connection) -> None:
    """Wait until nobody else writes, and keep others from it until the transaction ends."""
    connection.exec_driver_sql(_TAKE_LOCK)


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        take_turn(connection)
