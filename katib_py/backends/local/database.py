"""One SQL database and the thread that its connection lives in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy import Connection, Engine, event, exc

from katib_py.backends.local.tables import INSERTS, METADATA
from katib_py.core.errors import Conflict, Held, StoreUnavailable
from katib_py.observations import database as observations
from katib_py.observations.address import create_folder, unusable
from katib_py.observations.schema import bring_up

T = TypeVar("T")
Work = Callable[[Connection], object]

LATER_SECONDS: Final = 0.1


class Fence(Protocol):
    """What keeps a process from writing that has lost the right to."""

    @property
    def sure(self) -> bool:
        """Whether the right cannot have been lost yet, by the clock alone."""

    def ask(self, connection: Connection) -> None:
        """Raise Held where it was lost."""

    def check(self, row: Any) -> None:
        """The same, by a row that has the columns of HOLDER."""


class Database:
    """A database whose work runs in one thread, one transaction per call.

    `fence` is asked in every transaction that writes, and what it raises undoes the transaction.

    Why not an asynchronous driver: aiosqlite moves every statement to a thread of its own and back, so a turn of the
    loop with five statements would pay five hops. Here a turn pays one.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = _engine(url)
        self.fence: Fence | None = None
        self._writing = observations.writing(self.engine)
        self._thread = ThreadPoolExecutor(1, "katib-database")
        self._later: deque[Work] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._ready = False

    @property
    def sure(self) -> bool:
        """Whether this process certainly has the right to write, if it needs one."""
        return self.fence is None or self.fence.sure

    async def confirm(self) -> None:
        """Have the right to write, without a look at the database where that is sure; raises Held, StoreUnavailable."""
        if self.fence is not None and not self.fence.sure:
            await self.look(self.fence.ask)

    async def run(self, work: Callable[[Connection], T], asks: bool = False) -> T:
        """Do `work` in a transaction that may write; raises Conflict, Held, StoreUnavailable and what `work` raises.

        `asks`: the work has the fence check what it reads anyway.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, work, asks)

    async def look(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, which only reads; raises StoreUnavailable and what `work` raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, work)

    async def use(self, work: Callable[[Engine], T]) -> T:
        """Do `work`, which makes its own transactions; raises as `run`."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._use, work)

    def later(self, work: Work) -> None:
        """Do `work` in the next transaction that writes, at the latest in one of its own after LATER_SECONDS.

        It is done before whatever is asked for from now on. What fails with its transaction is tried again.
        """
        self._later.append(work)
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LATER_SECONDS, lambda: loop.create_task(self._catch_up()))

    def run_now(self, work: Callable[[Connection], T]) -> T:
        """`run` for callers without a loop."""
        return self._thread.submit(self._write, work).result()

    def look_now(self, work: Callable[[Connection], T]) -> T:
        """`look` for callers without a loop."""
        return self._thread.submit(self._read, work).result()

    def close(self) -> None:
        """Let go of the connection; what was asked for before is done."""
        if self._timer is not None:
            self._timer.cancel()
        with suppress(StoreUnavailable, Held):
            self.look_now(lambda _: None)
        self._thread.submit(self.engine.dispose).result()
        self._thread.shutdown()

    async def _catch_up(self) -> None:
        self._timer = None
        if self._later:
            with suppress(StoreUnavailable, Held):
                await self.run(lambda _: None)

    def _write(self, work: Callable[[Connection], T], asks: bool = False) -> T:
        return self._guarded(lambda: self._transaction(work, asks))

    def _read(self, work: Callable[[Connection], T]) -> T:
        def read(engine: Engine) -> T:
            with engine.begin() as connection:
                return work(connection)

        return self._use(read)

    def _use(self, work: Callable[[Engine], T]) -> T:
        if self._later:
            self._write(lambda _: None)
        return self._guarded(lambda: work(self.engine))

    def _transaction(self, work: Callable[[Connection], T], asks: bool) -> T:
        """`work` in one transaction with everything that was left for later."""
        done: list[Work] = []
        try:
            with self._writing.begin() as connection:
                if self.fence is not None and not asks:
                    self.fence.ask(connection)
                while self._later:
                    done.append(self._later.popleft())
                    done[-1](connection)
                return work(connection)
        except Held:
            self._later.clear()
            raise
        except BaseException:
            self._later.extendleft(reversed(done))
            raise

    def _guarded(self, work: Callable[[], T]) -> T:
        """Do `work` with the tables there; errors of the driver become ours here and nowhere else."""
        try:
            self._prepare()
            return work()
        except exc.IntegrityError as error:
            raise Conflict(f"somebody else was faster: {error.orig}") from error
        except (exc.DBAPIError, OSError) as error:
            raise unusable(self.url, error) from error

    def _prepare(self) -> None:
        """Create the tables that are missing, once."""
        if self._ready:
            return
        create_folder(self.engine)
        with self._writing.begin() as connection:
            bring_up(connection)
            METADATA.create_all(connection)
        self._ready = True


def _engine(url: str) -> Engine:
    engine = observations.connect(url, INSERTS)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _enforce_owners)
    return engine


def _enforce_owners(connection: Any, _record: Any) -> None:
    # SQLite deletes an experiment's rows with it only where it is told to.
    connection.execute("PRAGMA foreign_keys=ON").close()
