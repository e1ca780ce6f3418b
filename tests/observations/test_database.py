from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy.dialects import mysql, postgresql
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateTable

from katib_py.core.objective import Measurement
from katib_py.observations.database import connect, metadata, writing
from katib_py.observations.log import Run, SqlLog, append, read_runs

RUN = Run("default", "trial-a", "uid-a", "1")


def measured(position):
    return Measurement("loss", "0.5", datetime(2026, 1, 1, tzinfo=UTC), position)


@pytest.mark.every_database("mariadb")
def test_a_measurement_is_written_with_the_callers_transaction_or_not_at_all(engine):
    with writing(engine).begin() as connection:
        append(connection, [(RUN, [measured(1)])])
        connection.rollback()
    assert SqlLog(engine).read("uid-a") == []


@pytest.mark.every_database("mariadb")
def test_readers_go_on_while_somebody_writes(engine):
    log = SqlLog(engine)
    log.append([(RUN, [measured(1)])])
    with writing(engine).begin() as connection:
        append(connection, [(RUN, [measured(2)])])
        assert log.read("uid-a") == [measured(1)]
    assert log.read("uid-a") == [measured(1), measured(2)]


@pytest.mark.every_database("mariadb")
def test_a_follower_misses_nothing_that_several_threads_write(engine):
    log, cursor, found = SqlLog(engine), 0, []
    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(log.append, [(RUN, [measured(position)])]) for position in range(1, 101)]
        while not all(writer.done() for writer in writers):
            cursor, rows = log.since(cursor, ["uid-a"])
            found += rows
    cursor, rows = log.since(cursor, ["uid-a"])
    assert (cursor, len(found + rows)) == (100, 100)


@pytest.mark.every_database("mariadb")
def test_a_reader_sees_one_moment(engine):
    log = SqlLog(engine)
    with engine.connect() as connection:
        assert list(read_runs(connection, [("uid-a", "")])) == []
        log.append([(RUN, [measured(1)])])
        assert list(read_runs(connection, [("uid-a", "")])) == []


@pytest.mark.every_database("mariadb")
def test_several_processes_may_make_the_same_new_database(db_url):
    program = (
        "import sys; from katib_py.observations.database import connect; "
        "from katib_py.observations.schema import prepare; prepare(connect(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, db_url]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]


def test_a_database_that_cannot_be_opened_says_so():
    with pytest.raises(OperationalError, match="unable to open database file"):
        SqlLog(connect("sqlite:////dev/null/katib.db")).read("uid-a")


@pytest.mark.parametrize("dialect", [mysql.dialect(), postgresql.dialect()])
def test_the_tables_can_be_said_to_other_databases(dialect):
    for table in metadata.sorted_tables:
        assert "CREATE TABLE" in str(CreateTable(table).compile(dialect=dialect))
