"""Pooled connections to a server that may have gone meanwhile: one that lay idle is tried before it is used."""

from __future__ import annotations

import time
from functools import partial
from typing import Any, Final

from sqlalchemy import Dialect, Engine, event, exc
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

# To try a connection before every use would make a commit a fifth slower.
IDLE_SECONDS: Final = 1.0


def try_idle_ones(engine: Engine, idle_seconds: float = IDLE_SECONDS) -> None:
    """A connection that nobody has used for `idle_seconds` may have been cut: it is tried first, and made anew."""
    event.listen(engine, "checkin", _note_time)
    event.listen(engine, "checkout", partial(_try_idle, engine.dialect, idle_seconds))


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
