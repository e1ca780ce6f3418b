"""One engine per experiment: who drives it is written down, and found out when it has died."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, update

from katib_py.backends.local.database import Database
from katib_py.backends.local.holder import Holder
from katib_py.backends.local.tables import EXPERIMENTS, LEASES
from katib_py.controller.ports import Key
from katib_py.core.errors import Held, NotFound, StoreUnavailable

BEAT_SECONDS: Final = 5.0
STALE_SECONDS: Final = 60.0  # an engine of another machine that has been silent for so long is taken for dead


class Lease:
    """The right to drive an experiment, held while the context lasts."""

    def __init__(self, database: Database, key: Key) -> None:
        self._database = database
        self._key = key
        self._holder = Holder.current()
        self._heart: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Lease:
        """Take the lease, at once from a dead holder; raises Held, NotFound, StoreUnavailable."""
        await self._database.run(partial(_take, self._key, self._holder, time.time()))
        self._heart = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back."""
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        with suppress(StoreUnavailable):
            await self._database.run(partial(_give_back, self._key, self._holder))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            with suppress(StoreUnavailable):
                await self._database.run(partial(_renew, self._key, self._holder, time.time()))


def lease_holder(connection: Connection, key: Key, now: float) -> Holder | None:
    """Who drives the experiment at the moment; None where nobody does. Raises NotFound."""
    number = _experiment(connection, key)
    row = connection.execute(select(LEASES).where(LEASES.c.experiment == number)).first()
    if row is None:
        return None
    holder = Holder(row.host, row.pid, row.started)
    alive = holder.alive() if holder.here else row.heartbeat > now - STALE_SECONDS
    return holder if alive else None


def _take(key: Key, ours: Holder, now: float, connection: Connection) -> None:
    holder = lease_holder(connection, key, now)
    if holder is not None and holder != ours:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder.started))
        who = f"process {holder.pid} on {holder.host}, running since {since}"
        raise Held(f"the experiment {key.name} is driven by another engine: {who}")
    number = _experiment(connection, key)
    connection.execute(delete(LEASES).where(LEASES.c.experiment == number))
    connection.execute(insert(LEASES), {"experiment": number, **ours._asdict(), "heartbeat": now})


def _renew(key: Key, ours: Holder, now: float, connection: Connection) -> None:
    connection.execute(update(LEASES).where(*_ours(key, ours)).values(heartbeat=now))


def _give_back(key: Key, ours: Holder, connection: Connection) -> None:
    connection.execute(delete(LEASES).where(*_ours(key, ours)))


def _ours(key: Key, ours: Holder) -> tuple[Any, ...]:
    number = select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.namespace == key.namespace, EXPERIMENTS.c.name == key.name)
    return (
        LEASES.c.experiment == number.scalar_subquery(),
        LEASES.c.host == ours.host,
        LEASES.c.pid == ours.pid,
        LEASES.c.started == ours.started,
    )


def _experiment(connection: Connection, key: Key) -> int:
    query = select(EXPERIMENTS.c.id).where(EXPERIMENTS.c.namespace == key.namespace, EXPERIMENTS.c.name == key.name)
    number: int | None = connection.execute(query).scalar()
    if number is None:
        raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}")
    return number
