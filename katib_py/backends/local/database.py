"""One SQL database and the thread that its connection lives in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, exc, make_url

from katib_py.backends.local.tables import METADATA
from katib_py.core.errors import Conflict, InvalidInput, Problem, StoreUnavailable

T = TypeVar("T")

BUSY_SECONDS: Final = 30.0  # another process may be writing; SQLite has one writer at a time
READ_ONLY: Final = "katib_read_only"


class Database:
    """A database whose work runs in one thread, one transaction per call.

    Why not an asynchronous driver: aiosqlite moves every statement to a thread of its own and back, so a turn of the
    loop with five statements would pay five hops. Here a turn pays one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine = _engine(url)
        self._reading = self._engine.execution_options(**{READ_ONLY: True})
        self._thread = ThreadPoolExecutor(1, "katib-database")
        self._tables: set[int] = set()

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction that may write; raises Conflict, StoreUnavailable and what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work)

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, which only reads; raises StoreUnavailable and what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    def run_now(self, work: Callable[[Connection], T]) -> T:
        """`run` for callers without a loop."""
        return self._thread.submit(self._write, work).result()

    def look_now(self, work: Callable[[Connection], T]) -> T:
        """`look` for callers without a loop."""
        return self._thread.submit(self._read, work).result()

    def ensure(self, metadata: MetaData) -> None:
        """Create what is missing of these tables too; raises StoreUnavailable."""
        if id(metadata) not in self._tables:
            self.run_now(metadata.create_all)
            self._tables.add(id(metadata))

    def close(self) -> None:
        """Let go of the connection; what was started before is finished."""
        self._thread.submit(self._engine.dispose).result()
        self._thread.shutdown()

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._guarded(self._engine, work)

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._guarded(self._reading, work)

    def _guarded(self, engine: Engine, work: Callable[[Connection], T]) -> T:
        try:
            if not self._tables:
                _create_folder(self._engine)
                with self._engine.begin() as connection:
                    METADATA.create_all(connection)
                self._tables.add(id(METADATA))
            with engine.begin() as connection:
                return work(connection)
        except exc.IntegrityError as error:
            raise Conflict(f"somebody else was faster: {error.orig}") from error
        except exc.DBAPIError as error:
            raise StoreUnavailable(f"the database {_shown(self.url)} cannot be used: {error.orig}") from error
        except OSError as error:
            raise StoreUnavailable(f"the database {_shown(self.url)} cannot be opened: {error}") from error


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() != "sqlite":
            return create_engine(parsed, pool_size=1, max_overflow=0)
        options = {"timeout": BUSY_SECONDS, "isolation_level": None, "check_same_thread": False}
        engine = create_engine(parsed, connect_args=options)
    except (exc.ArgumentError, ImportError) as error:
        raise InvalidInput([Problem("--db", f"is {_shown(url)}: {error}; such as sqlite:///katib.db")]) from error
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # With a write-ahead log, NORMAL may lose the last commits in a power cut but never breaks the file, and a commit
    # waits for no disk. A killed process loses nothing.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # Taking the write lock at once lets a writer wait its turn; upgraded later it would fail with "database is locked".
    read_only = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _create_folder(engine: Engine) -> None:
    name = engine.url.database
    if engine.url.get_backend_name() == "sqlite" and name and name != ":memory:":
        Path(name).parent.mkdir(parents=True, exist_ok=True)


def _shown(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except exc.ArgumentError:
        return repr(url)
