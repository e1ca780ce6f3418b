"""What only a server can do: go away, and keep a lock for somebody who has fallen asleep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from katib_py.core.objective import Measurement
from katib_py.observations import postgres
from katib_py.observations.address import KINDS, engine_of
from katib_py.observations.database import create_all, writing
from katib_py.observations.log import Run, SqlLog

RUN = Run("default", "trial-a", "uid-a", "1")
BUSY_SECONDS = 0.3


@pytest.fixture
def engine(new_database):
    engine = engine_of(new_database("postgresql"), KINDS)
    postgres.prepare(engine, BUSY_SECONDS, idle_seconds=0.0)
    create_all(engine)
    yield engine
    engine.dispose()


def append(engine, position=1):
    SqlLog(engine).append([(RUN, [Measurement("loss", "0.5", datetime(2026, 1, 1, tzinfo=UTC), position)])])


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_anew(engine, postgres_server):
    append(engine)
    postgres_server.cut()
    assert len(SqlLog(engine).read("uid-a")) == 1
    append(engine, 2)


def test_who_waits_for_a_writer_waits_for_some_time_only(engine):
    with writing(engine).begin() as connection, ThreadPoolExecutor(1) as other:
        attempt = other.submit(append, engine)
        for _ in range(20):  # it lives and goes on writing
            connection.execute(text("SELECT pg_sleep(0.05)"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            attempt.result()


def test_a_writer_that_fell_asleep_keeps_nobody_from_writing(engine):
    asleep = writing(engine).connect()
    asleep.begin()
    append(engine)
    with pytest.raises(DBAPIError):
        asleep.execute(text("SELECT 1"))
    asleep.close()
