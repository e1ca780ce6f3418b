"""From a URL to a database that can be used: awaited, with its tables there, and said what keeps it from that."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from katib_py.observations.address import shown, unusable, why
from katib_py.observations.database import connect
from katib_py.observations.schema import check, prepare

PAUSE_SECONDS: Final = 1.0


class Database(NamedTuple):
    """Which database, what named it, how long to wait for it, and whether its tables are only checked.

    `prepared`: the tables are made, brought up to date or checked, and those of Katib are taken over.
    """

    url: str
    source: str
    patience: float
    only_checked: bool = False
    prepared: bool = True


@contextmanager
def open_database(database: Database, ended: threading.Event) -> Iterator[Engine | None]:
    """The engine, once the server answers; None where the wait was ended. Raises InvalidInput, StoreUnavailable."""
    engine = connect(database.url)
    try:
        if not _await(engine, database, ended):
            yield None
            return
        if database.prepared:
            _prepare(engine, database)
        yield engine
    except DBAPIError as error:
        raise unusable(database.url, error, database.source) from error
    finally:
        engine.dispose()


def _prepare(engine: Engine, database: Database) -> None:
    if database.only_checked:
        check(engine)
        return
    try:
        prepare(engine, takes_over=True)
    except OSError as error:
        raise unusable(database.url, error, database.source) from error


def _await(engine: Engine, database: Database, ended: threading.Event) -> bool:
    """Wait for a server, saying for what; False where somebody ended the wait."""
    if engine.dialect.name == "sqlite":
        return True
    deadline, said = time.monotonic() + database.patience, ""
    while not ended.is_set():
        try:
            engine.connect().close()
        except (OperationalError, InterfaceError) as error:
            left = deadline - time.monotonic()
            if left <= 0:
                raise unusable(database.url, error, database.source) from error
            if (words := why(database.url, error)) != said:
                said = words
                print(f"waiting up to {left:.0f} s for {shown(database.url)}: {words}", file=sys.stderr, flush=True)
            ended.wait(min(PAUSE_SECONDS, left))
        else:
            return True
    return False
