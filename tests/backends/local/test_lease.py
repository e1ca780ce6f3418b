"""One engine per experiment."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.holder import Holder
from katib_py.backends.local.lease import STALE_SECONDS, Lease, lease_holder
from katib_py.controller.ports import Key
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
        late = 4e9 + STALE_SECONDS
        assert await database.look(lambda connection: lease_holder(connection, KEY, late)) is None


def test_a_process_with_the_same_number_but_another_start_is_another_one():
    ours = Holder.current()
    assert ours.alive()
    assert not ours._replace(started=ours.started - 3600).alive()
    assert not ours._replace(pid=2**22 + os.getpid()).alive()


async def test_there_is_no_lease_of_what_is_not_there(house):
    with pytest.raises(NotFound):
        async with Lease(house.database, KEY):
            pass
