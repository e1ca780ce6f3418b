from __future__ import annotations

import re
from datetime import UTC, datetime

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy import text

from katib_py.observations.log import Run, SqlLog
from katib_py.observations.reports import begin_run, record_stop
from katib_py.observations.server import serve
from katib_py.wire import api, rpc

pytestmark = pytest.mark.every_database("mariadb")
RUN = Run("default", "trial-a", "uid-a", "1")
T0, T1, T2 = (f"2026-01-01T00:00:0{second}Z" for second in range(3))


@pytest.fixture
def report(channel):
    call = rpc.call(channel, "DBManager", "ReportObservationLog")

    def report(*rows, run=None, trial="trial-a", timeout=None):
        logs = [
            api.MetricLog(time_stamp=time, metric=api.Metric(name=metric, value=value), position=position)
            for time, metric, value, position in [(*row, 0)[:4] for row in rows]
        ]
        message = run and api.Run(namespace=run.namespace, trial_uid=run.trial_uid, attempt=run.attempt)
        request = api.ReportObservationLogRequest(trial_name=trial, run=message)
        if rows:
            request.observation_log.metric_logs.extend(logs)
        return call(request, timeout=timeout)

    return report


@pytest.fixture
def get(channel):
    call = rpc.call(channel, "DBManager", "GetObservationLog")

    def get(trial="trial-a", **query):
        reply = call(api.GetObservationLogRequest(trial_name=trial, **query))
        return [(log.time_stamp, log.metric.name, log.metric.value) for log in reply.observation_log.metric_logs]

    return get


def measured(engine, attempt=None):
    return [item.value for item in SqlLog(engine).read("uid-a", attempt)]


def test_what_is_reported_is_got_by_time(report, get):
    report((T1, "loss", "0.50"), (T0, "loss", "nan"))
    report((T2, "acc", ""))
    assert get() == [(T0, "loss", "nan"), (T1, "loss", "0.50"), (T2, "acc", "")]


def test_times_are_got_in_utc_with_as_many_digits_as_they_have(report, get):
    report(("2026-01-01T09:00:00.120000999+09:00", "loss", "1"))
    assert get() == [("2026-01-01T00:00:00.12Z", "loss", "1")]


def test_a_log_may_be_asked_for_one_metric_and_a_span_of_time(report, get):
    report((T0, "loss", "0"), (T1, "loss", "1"), (T1, "acc", "1"), (T2, "loss", "2"))
    assert get(metric_name="loss", start_time=T1, end_time=T2) == [(T1, "loss", "1"), (T2, "loss", "2")]


@pytest.mark.parametrize("request_", [api.ReportObservationLogRequest(trial_name="trial-a")])
def test_a_report_of_nothing_is_fine(channel, report, get, request_):
    assert not rpc.call(channel, "DBManager", "ReportObservationLog")(request_).stop
    report(("", "loss", "1"))
    assert get() == []


def test_a_report_with_a_broken_time_is_refused_whole(report, get):
    with pytest.raises(grpc.RpcError) as caught:
        report((T0, "loss", "1"), ("yesterday", "loss", "1"))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "time_stamp is 'yesterday'; must be RFC 3339, such as 2026-01-31T12:00:00.5Z"
    assert get() == []


def test_a_deleted_log_is_empty_and_deleting_nothing_is_fine(channel, report, get):
    report((T0, "loss", "1"))
    for _ in range(2):
        rpc.call(channel, "DBManager", "DeleteObservationLog")(api.DeleteObservationLogRequest(trial_name="trial-a"))
    assert get() == []


def test_a_report_of_a_run_is_kept_by_position(engine, report):
    for _ in range(2):
        report((T0, "loss", "2", 20), (T0, "loss", "1", 10), run=RUN)
    assert measured(engine) == ["1", "2"]


def test_only_the_last_attempt_is_got(report, get):
    report((T1, "loss", "1", 1), run=RUN)
    report((T0, "loss", "2", 1), run=RUN._replace(attempt="2"))
    assert get() == [(T0, "loss", "2")]


def test_two_namespaces_may_have_a_trial_of_one_name(report, get):
    report((T0, "loss", "1", 1), run=RUN)
    report((T0, "loss", "2", 1), run=RUN._replace(namespace="other", trial_uid="uid-b"))
    assert get(namespace="default") == [(T0, "loss", "1")]


def test_a_report_by_name_alone_is_placed_into_the_run_of_that_time(engine, report):
    with engine.begin() as connection:
        begin_run(connection, RUN, datetime(2026, 1, 1, tzinfo=UTC))
        begin_run(connection, RUN._replace(attempt="2"), datetime(2026, 1, 1, 0, 1, tzinfo=UTC))
    report((T1, "loss", "1"))
    report(("2026-01-01T00:00:59Z", "loss", "2"))  # whole seconds: the run began within it
    assert measured(engine, "1") == ["1"]
    assert measured(engine, "2") == ["2"]


def test_a_report_without_time_belongs_to_the_newest_run(engine, report):
    with engine.begin() as connection:
        begin_run(connection, RUN, datetime(2026, 1, 1, tzinfo=UTC))
    report(("0001-01-01T00:00:00Z", "loss", "1"))
    assert measured(engine) == ["1"]


def test_values_of_one_second_are_all_kept_and_a_repeated_report_adds_none(engine, report, get):
    for _ in range(2):
        report((T0, "loss", "3"), (T0, "loss", "2"), (T0, "loss", "2"))
        report((T0, "loss", "1"))
        report(("2026-01-01T00:00:00.000001Z", "loss", "0"))
    assert [value for _, _, value in get()] == ["3", "2", "2", "1", "0"]


def test_a_trial_that_was_told_to_stop_hears_it_with_its_next_report(engine, report):
    assert not report((T0, "loss", "1", 1), run=RUN).stop
    with engine.begin() as connection:
        record_stop(connection, "uid-a", "1", "hopeless")
        record_stop(connection, "uid-a", "1", "quite hopeless")
    reply = report((T0, "loss", "1", 2), run=RUN)
    assert (reply.stop, reply.stop_reason) == (True, "quite hopeless")
    assert not report((T0, "loss", "1", 3), run=RUN._replace(attempt="2")).stop


def test_a_trial_known_by_name_alone_is_told_to_stop_too(engine, report):
    with engine.begin() as connection:
        begin_run(connection, RUN, datetime(2026, 1, 1, tzinfo=UTC))
        record_stop(connection, "uid-a", "1", "hopeless")
    assert report((T0, "loss", "1")).stop


@pytest.fixture
def trouble(request, engine, channel):
    """A server whose database has gone."""
    servers = {"postgresql": "postgres_server", "mysql": "mariadb_server"}
    if engine.dialect.name in servers:
        with request.getfixturevalue(servers[engine.dialect.name]).away():
            yield
    else:
        with engine.begin() as connection:
            connection.execute(text("DROP TABLE observation_logs"))
        yield


@pytest.mark.usefixtures("trouble")
def test_a_database_in_trouble_is_said_and_may_be_tried_again(report):
    with pytest.raises(grpc.RpcError) as caught:
        report((T0, "loss", "1"), timeout=1.0)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert re.search(r"no such table|does not let us in", caught.value.details())


@pytest.mark.parametrize("service", ["", "grpc.health.v1.Health", "api.v1.beta1.DBManager"])
def test_the_server_is_healthy_by_every_name_of_its(channel, service):
    reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_the_health_of_another_service_is_not_known(channel):
    with pytest.raises(grpc.RpcError) as caught:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="Suggestion"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("symbol", ["api.v1.beta1.DBManager", "api.v1.beta1.ObservationLogs", "grpc.health.v1.Health"])
def test_reflection_describes_the_services(channel, symbol):
    ask = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
    (listing,) = ask(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    assert symbol in {service.name for service in listing.list_services_response.service}
    (found,) = ask(iter([reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol)]))
    assert found.file_descriptor_response.file_descriptor_proto


def test_an_address_that_cannot_be_had_is_an_error(engine):
    server, address = serve(engine, "127.0.0.1:0")
    with pytest.raises(OSError, match=f"cannot listen on {address}"):
        serve(engine, address)
    server.stop(None).wait()
