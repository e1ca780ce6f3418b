"""One engine per experiment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from functools import partial

import psutil
import pytest
from sqlalchemy import delete, select, update
from support.shell import wait_for

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.holder import Holder
from katib_py.backends.local.lease import TERMS, Lease, Terms, lease_holder
from katib_py.backends.local.store import SqlStore
from katib_py.backends.local.tables import EXPERIMENTS, LEASES
from katib_py.controller.ports import Change, Key
from katib_py.core.errors import Held, NotFound

pytestmark = pytest.mark.every_database
KEY = Key("team-a", "demo")

ENGINE = """
import asyncio, sys
from katib_py.backends.local.database import Database
from katib_py.backends.local.lease import Lease
from katib_py.controller.ports import Key

async def main():
    async with Lease(Database(sys.argv[1]), Key("team-a", "demo")):
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def database(house) -> Database:
    Catalog(house.database).apply(house.experiment(), 1.0)
    return house.database


@pytest.fixture
async def other(database):
    """An engine that holds the lease."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", ENGINE, database.url, stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == b"held\n"
    yield process
    if process.returncode is None:
        process.kill()
    await process.wait()


async def test_a_second_engine_learns_who_holds_the_experiment(database, other):
    with pytest.raises(Held, match=f"process {other.pid} on "):
        async with Lease(database, KEY):
            pass


async def test_the_lease_of_a_killed_engine_is_taken_over_at_once(database, other):
    other.kill()
    await other.wait()
    async with Lease(database, KEY):
        pass


async def test_a_lease_ends_with_its_context(database):
    async with Lease(database, KEY):
        assert await database.look(lambda connection: lease_holder(connection, KEY, 0.0)) == Holder.current()
    assert await database.look(lambda connection: lease_holder(connection, KEY, 0.0)) is None


async def test_an_engine_of_another_machine_is_believed_for_a_while(database):
    lease = Lease(database, KEY)
    lease._holder = Holder("elsewhere", 1, 1.0)
    async with lease:
        row = await database.look(lambda connection: lease_holder(connection, KEY, 0.0))
        assert row is not None
        late = 4e9 + TERMS.silence
        assert await database.look(lambda connection: lease_holder(connection, KEY, late)) is None


async def test_a_halted_engine_is_believed_for_a_while_and_a_living_one_for_ever(database, other):
    def driving(connection):
        return lease_holder(connection, KEY, time.time() + TERMS.silence) is not None

    assert await database.look(driving)
    other.send_signal(signal.SIGSTOP)
    wait_for(lambda: psutil.Process(other.pid).status() == psutil.STATUS_STOPPED)
    assert not await database.look(driving)
    assert await database.look(lambda connection: lease_holder(connection, KEY, time.time())) is not None


@pytest.fixture
def steal(database):
    """Gives the lease to another engine, which may let go of it again."""

    def steal(connection, *, and_let_go=False):
        values = {"host": "elsewhere", "pid": 7, "started": 1.0}
        connection.execute(delete(LEASES) if and_let_go else update(LEASES).values(values))

    return steal


async def test_who_lost_the_lease_writes_nothing_and_learns_to_whom(database, steal):
    store = SqlStore(database)
    before = await store.load(KEY)
    async with Lease(database, KEY):
        await store.commit(KEY, Change(status={}))
        await database.run(steal)
        database.later(edit)
        for call in (
            store.commit(KEY, Change(status={"trials": 2})),
            store.refresh(KEY, before.generation),
            database.run(edit),
        ):
            with pytest.raises(Held, match="process 7 on elsewhere"):
                await call
    assert await store.load(KEY) == before
    assert await database.look(lambda connection: lease_holder(connection, KEY, 0.0)) is not None


def edit(connection):
    connection.execute(update(EXPERIMENTS).values(generation=99))


async def test_a_lease_that_was_taken_and_given_back_is_lost_too(database, steal):
    async with Lease(database, KEY):
        await database.run(partial(steal, and_let_go=True))
        with pytest.raises(Held, match="has let go of it"):
            await SqlStore(database).commit(KEY, Change(status={"trials": 2}))


async def test_who_was_silent_for_long_looks_before_it_starts_anything(database, steal):
    async with Lease(database, KEY, Terms(beat=600, silence=0)):
        assert not database.sure
        await database.confirm()
        await database.run(steal)
        with pytest.raises(Held):
            await database.confirm()


async def test_a_heartbeat_keeps_the_lease_and_takes_none_back(database, steal):
    lease = Lease(database, KEY, Terms(beat=0.01, silence=60))
    async with lease:
        async with asyncio.timeout(30):
            first = await database.look(heartbeat)
            while await database.look(heartbeat) == first:
                await asyncio.sleep(0.01)
        await database.run(steal)
        await asyncio.sleep(0.05)
        assert await database.look(lambda connection: lease_holder(connection, KEY, 0.0)) != Holder.current()


def heartbeat(connection):
    return connection.scalar(select(LEASES.c.heartbeat))


async def test_an_engine_whose_experiment_was_deleted_learns_that(database):
    store = SqlStore(database)
    await store.load(KEY)
    async with Lease(database, KEY):
        await database.run(lambda connection: connection.execute(delete(EXPERIMENTS)))
        for call in (store.commit(KEY, Change(status={"trials": 2})), store.refresh(KEY, 1)):
            with pytest.raises(NotFound):
                await call


def test_a_process_with_the_same_number_but_another_start_is_another_one():
    ours = Holder.current()
    assert ours.alive()
    assert not ours._replace(started=ours.started - 3600).alive()
    assert not ours._replace(pid=2**22 + os.getpid()).alive()


async def test_there_is_no_lease_of_what_is_not_there(house):
    with pytest.raises(NotFound):
        async with Lease(house.database, KEY):
            pass
