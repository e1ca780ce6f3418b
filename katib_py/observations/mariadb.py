"""MariaDB and MySQL as they must be for the tables here: writers that take turns, nothing cut silently."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from katib_py.observations.address import GONE
from katib_py.observations.connections import IDLE_SECONDS, try_idle_ones

# The table with one row that tells the version of the tables. Every writer locks that row until its commit.
VERSION_TABLE: Final = "observation_version"
_TAKE_LOCK: Final = f"SELECT version_num FROM {VERSION_TABLE} FOR UPDATE"  # noqa: S608

_IDLE_LIMIT: Final = "idle_transaction_timeout"  # MariaDB's name for it


def prepare(engine: Engine, busy_seconds: float, idle_seconds: float = IDLE_SECONDS) -> None:
    """Have writers wait so long for each other, and connections work that nobody has used for `idle_seconds`."""
    event.listen(engine, "connect", partial(_set_patience, max(1, int(busy_seconds))))
    event.listen(engine, "begin", _begin)
    try_idle_ones(engine, idle_seconds)


def writing(engine: Engine) -> Engine:
    """The same engine, for transactions that write: one after the other, so that ids become visible in their order.

    The lock is the first thing that they do, and what they read after it is as their predecessor left it.
    """
    return engine.execution_options(writes=True)


def _set_patience(seconds: int, connection: Any, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    cursor.execute(f"SET SESSION innodb_lock_wait_timeout = {seconds}")
    # Elsewhere a value that is too long is refused; here it would be cut where the server is set to be lenient.
    cursor.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')")
    # A machine that falls asleep while it writes must not keep everybody else from writing. MySQL can only end what is
    # idle altogether; a connection that lay in the pool is made anew.
    limit = _IDLE_LIMIT if cursor.execute(f"SHOW VARIABLES LIKE '{_IDLE_LIMIT}'") else "wait_timeout"
    cursor.execute(f"SET SESSION {limit} = {seconds}")
    cursor.close()
    _notice_loss(getattr(connection, "_sock", None))


def _notice_loss(link: socket.socket | None) -> None:
    """What libpq does by itself: a server that has gone while somebody waits for its answer is noticed."""
    if link is None or link.family == socket.AF_UNIX:
        return
    for option, name in (
        ("TCP_KEEPIDLE", "keepalives_idle"),
        ("TCP_KEEPINTVL", "keepalives_interval"),
        ("TCP_KEEPCNT", "keepalives_count"),
        ("TCP_USER_TIMEOUT", "tcp_user_timeout"),
    ):
        if hasattr(socket, option):
            link.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), GONE[name])


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(_TAKE_LOCK)
