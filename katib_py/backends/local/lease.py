"""One engine per experiment: who drives it is written down, and found out when it has died."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from katib_py.backends.local.database import Database
from katib_py.backends.local.holder import Holder
from katib_py.backends.local.tables import EXPERIMENTS, HOLDER, LEASES
from katib_py.controller.ports import Key
from katib_py.core.errors import Held, NotFound, StoreUnavailable


class Terms(NamedTuple):
    """How often a holder says that it is there, and how long a silence makes it count as gone; in seconds.

    Only a holder that cannot be seen to live is judged by its silence: one of another machine, or one that was halted.
    """

    beat: float = 5.0
    silence: float = 60.0


TERMS: Final = Terms()


class Lease:
    """The right to drive an experiment, held while the context lasts, and the database's fence for so long.

    A holder that was silent for too long, asleep or cut off, may wake and find that another one has taken over. It
    then writes nothing more: whatever it tries raises Held.
    """

    def __init__(self, database: Database, key: Key, terms: Terms = TERMS) -> None:
        self._database = database
        self._key = key
        self._terms = terms
        self._holder = Holder.current()
        self._experiment = 0
        self._heard = 0.0
        self._heart: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lease:
        """Take the lease, at once from a dead holder; raises Held, NotFound, StoreUnavailable."""
        now = time.time()
        take = partial(_take, self._key, self._holder, now, self._terms.silence)
        self._experiment, self._heard = await self._database.run(take), now
        self._database.fence = self
        self._heart = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back, unless somebody else has it."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        with suppress(StoreUnavailable):
            with suppress(Held):
                await self._database.run(self._give_back)
            self._database.fence = None

    @property
    def sure(self) -> bool:
        """Whether nobody can have taken it yet."""
        return time.time() - self._heard < self._terms.silence

    def ask(self, connection: Connection) -> None:
        """Raise Held where somebody has taken it."""
        self.check(connection.execute(_HOLDER_OF, {"key": self._experiment}).first())

    def check(self, row: Any) -> None:
        """The same, by a row that names the holder."""
        if row is None or row.host is None:
            raise self._lost("which has let go of it since")
        if (holder := Holder(row.host, row.pid, row.started)) != self._holder:
            raise self._lost(_shown(holder))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._terms.beat)
            now = time.time()
            try:
                await self._database.run(partial(self._renew, now))
            except StoreUnavailable:
                continue
            except Held:
                return  # the engine learns it where it looks at the store
            self._heard = now

    def _renew(self, now: float, connection: Connection) -> None:
        connection.execute(update(LEASES).where(LEASES.c.experiment == self._experiment).values(heartbeat=now))

    def _give_back(self, connection: Connection) -> None:
        connection.execute(delete(LEASES).where(LEASES.c.experiment == self._experiment))

    def _lost(self, whom: str) -> Held:
        silent = f"this one had not been heard of for {time.time() - self._heard:.0f} s"
        left = "It writes nothing more and leaves its running trials to the other"
        return Held(f"the experiment {self._key.name} was taken over by another engine, {whom}; {silent}. {left}")


_HOLDER_OF: Final = select(*HOLDER).where(LEASES.c.experiment == bindparam("key"))


def lease_holder(connection: Connection, key: Key, now: float, silence: float = TERMS.silence) -> Holder | None:
    """Who drives the experiment at the moment; None where nobody does. Raises NotFound."""
    number = _experiment(connection, key)
    row = connection.execute(select(LEASES).where(LEASES.c.experiment == number)).first()
    if row is None:
        return None
    holder = Holder(row.host, row.pid, row.started)
    heard = row.heartbeat > now - silence
    driving = holder.alive() and (heard or not holder.halted()) if holder.here else heard
    return holder if driving else None


def _take(key: Key, ours: Holder, now: float, silence: float, connection: Connection) -> int:
    """The number of the experiment that we hold now."""
    holder = lease_holder(connection, key, now, silence)
    if holder is not None and holder != ours:
        raise Held(f"the experiment {key.name} is driven by another engine: {_shown(holder)}")
    number = _experiment(connection, key)
    connection.execute(delete(LEASES).where(LEASES.c.experiment == number))
    connection.execute(insert(LEASES), {"experiment": number, **ours._asdict(), "heartbeat": now})
    return number


def _shown(holder: Holder) -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.started))
    return f"process {holder.pid} on {holder.host}, running since {since}"


def _experiment(connection: Connection, key: Key) -> int:
    query = select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.namespace == key.namespace, EXPERIMENTS.c.name == key.name)
    number: int | None = connection.execute(query).scalar()
    if number is None:
        raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}")
    return number
