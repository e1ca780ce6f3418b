"""What only a server can do: go away, and keep a lock for somebody who has fallen asleep."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import grpc
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from support.shell import wait_for

from katib_py.core.objective import Measurement
from katib_py.observations import mariadb, postgres
from katib_py.observations.address import KINDS, engine_of
from katib_py.observations.database import writing
from katib_py.observations.log import Run, SqlLog
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve
from katib_py.wire import api, rpc

START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run("default", "trial-a", "uid-a", "1")
BUSY_SECONDS = {"postgresql": 0.3, "mariadb": 1}  # MariaDB counts whole ones
SLEEP = {"postgresql": "SELECT pg_sleep(0.1)", "mariadb": "SELECT sleep(0.1)"}


@pytest.fixture(params=["postgresql", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture
def server(request, kind):
    return request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[kind])


@pytest.fixture
def engine(new_database, kind):
    engine = engine_of(new_database(kind), KINDS)
    {"postgresql": postgres, "mariadb": mariadb}[kind].prepare(engine, BUSY_SECONDS[kind], idle_seconds=0.0)
    prepare(engine)
    yield engine
    engine.dispose()


def append(engine, position=1):
    SqlLog(engine).append([(RUN, [Measurement("loss", "0.5", START, position)])])


def test_a_connection_that_was_cut_while_nobody_used_it_is_made_anew(engine, server):
    append(engine)
    server.cut()
    assert len(SqlLog(engine).read("uid-a")) == 1
    append(engine, 2)


def test_who_waits_for_a_writer_waits_for_some_time_only(engine, kind):
    with writing(engine).begin() as connection, ThreadPoolExecutor(1) as other:
        attempt = other.submit(append, engine)
        while not attempt.done():  # it lives and goes on writing
            connection.execute(text(SLEEP[kind]))
        with pytest.raises(DBAPIError, match=r"(?i)lock (wait )?timeout"):
            attempt.result()


def test_a_writer_that_fell_asleep_keeps_nobody_from_writing(engine):
    asleep = writing(engine).connect()
    asleep.begin()
    for _ in range(2):  # who had come just after it may have given up just before its end
        with suppress(OperationalError):
            append(engine)
    assert len(SqlLog(engine).read("uid-a")) == 1
    with pytest.raises(DBAPIError):
        asleep.execute(text("SELECT 1"))
    asleep.close()


@pytest.mark.parametrize("kind", ["mariadb"])
def test_a_value_that_does_not_fit_is_refused_and_never_cut(engine):
    with pytest.raises(DataError, match="Data too long for column 'attempt'"):
        SqlLog(engine).append([(RUN._replace(attempt="1" * 65), [Measurement("loss", "1", START, 1)])])


def test_a_server_that_was_killed_under_load_has_lost_and_doubled_nothing(engine, server):
    """Every report is repeated until it is answered, as report_metrics does."""
    server_, address = serve(engine, "127.0.0.1:0")
    with ThreadPoolExecutor(4) as threads, grpc.insecure_channel(address) as channel:
        reports = [threads.submit(report_until_answered, channel, number) for number in range(1, 201)]
        wait_for(lambda: sum(report.done() for report in reports) > 20)
        with server.away():
            pass
        followed = follow(engine, lambda: all(report.done() for report in reports))
        assert [report.result() for report in reports] == [None] * 200
    server_.stop(None).wait()
    assert [item.position for item in SqlLog(engine).read("uid-a", "1")] == list(range(1, 201))
    assert sorted(followed) == list(range(1, 201))


def report_until_answered(channel, position):
    log = api.MetricLog(time_stamp="2026-01-01T00:00:00Z", metric=api.Metric(name="loss", value="1"), position=position)
    request = api.ReportObservationLogRequest(
        trial_name=RUN.trial_name,
        observation_log=api.ObservationLog(metric_logs=[log]),
        run=api.Run(namespace="default", trial_uid="uid-a", attempt="1"),
    )
    while True:
        try:
            rpc.call(channel, "DBManager", "ReportObservationLog")(request, timeout=30)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE  # noqa: PT017
        else:
            return


def follow(engine, is_over):
    """The positions that a follower met, from the beginning to the end."""
    cursor, positions, last = 0, [], False
    while not last:
        last = is_over()
        with suppress(OperationalError):
            cursor, rows = SqlLog(engine).since(cursor, ["uid-a"])
            positions += [row.measurement.position for row in rows]
    return positions
