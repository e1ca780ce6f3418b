"""The database's thread: transactions, what is left for later, and errors."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import exc

from katib_py.backends.local.database import Database
from katib_py.backends.local.observations import SqlObservations
from katib_py.core.errors import Conflict, InvalidInput, StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.core.trial import trial_uid
from katib_py.observations.database import connect
from katib_py.observations.log import SqlLog

pytestmark = pytest.mark.every_database


@pytest.fixture
def database(house) -> Database:
    return house.database


@pytest.fixture
def log(database) -> SqlObservations:
    return SqlObservations(database, "team-a")


def measured(position: int) -> Measurement:
    return Measurement("loss", f"0.{position}", datetime(2026, 1, 1, tzinfo=UTC), position)


async def test_a_measurement_is_read_as_soon_as_it_is_appended(house, log):
    order = house.order(house.shell(""))
    await log.append([(order, [measured(1), measured(2)])])
    await log.append([(order, [measured(2), measured(3)])])
    assert await log.read([(order.trial_uid, 1)]) == [[measured(1), measured(2), measured(3)]]
    cursor, rows = await log.follow(0, [order.trial_uid])
    assert rows == [(order.trial_uid, 1, measured(number)) for number in (1, 2, 3)]
    assert await log.follow(cursor, [order.trial_uid]) == (cursor, [])


async def test_what_was_left_for_later_is_written_without_being_asked_for(house, database, log):
    order = house.order(house.shell(""))
    await log.append([(order, [measured(1)])])
    async with asyncio.timeout(30):
        while not rows(database.url):
            await asyncio.sleep(0.02)


async def test_a_change_that_fails_takes_nothing_with_it(house, database, log):
    order = house.order(house.shell(""))
    await log.append([(order, [measured(1)])])

    def fail(_):
        raise Conflict("somebody was faster")

    with pytest.raises(Conflict):
        await database.run(fail)
    assert await log.read([(order.trial_uid, 1)]) == [[measured(1)]]


async def test_closing_writes_what_was_left_for_later(house, db_url):
    database = Database(db_url)
    await SqlObservations(database, "team-a").append([(house.order(house.shell("")), [measured(1)])])
    database.close()
    assert rows(db_url) == 1


async def test_a_file_that_is_no_database_is_said_to_be_unusable(tmp_path):
    (tmp_path / "katib.db").write_text("no database at all, but text that is long enough to be looked at" * 10)
    database = Database(f"sqlite:///{tmp_path / 'katib.db'}")
    with pytest.raises(StoreUnavailable, match=r"katib\.db"):
        await database.look(lambda _: None)
    database.close()


@pytest.mark.parametrize("url", ["", "katib.db", "oracle://x", "mysql+nodriver://x/y"])
def test_a_url_that_names_no_usable_database_is_refused_with_an_example(url):
    with pytest.raises(InvalidInput, match="--db"):
        Database(url)


def test_the_folder_of_a_new_file_is_made(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'deep' / 'katib.db'}")
    database.look_now(lambda _: None)
    database.close()
    assert (tmp_path / "deep" / "katib.db").exists()


def rows(url) -> int:
    """The measurements that somebody else sees."""
    engine = connect(url)
    try:
        return len(SqlLog(engine).since(0, [trial_uid("0b8f6f3e", "demo-x")])[1])
    except exc.DBAPIError:
        return 0  # there are no tables yet
    finally:
        engine.dispose()
