from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from fractions import Fraction

import grpc
import numpy as np
import pytest

import katib_py
from katib_py.core.addresses import default_address
from katib_py.core.tokens import trial_token
from katib_py.observations.database import connect
from katib_py.observations.log import SqlLog
from katib_py.observations.reports import record_stop
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve
from katib_py.sdk.report_metrics import report_metrics
from katib_py.wire import api


@pytest.fixture
def engine(tmp_path):
    engine = connect(f"sqlite:///{tmp_path / 'katib.db'}")
    prepare(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def address(engine):
    server, address = serve(engine, "127.0.0.1:0")
    yield address
    server.stop(None).wait()


@pytest.fixture
def trial(monkeypatch, address):
    host, port = address.split(":")
    monkeypatch.setenv("KATIB_TRIAL_NAME", "trial-a")
    monkeypatch.setenv("KATIB_TRIAL_UID", "uid-a")
    monkeypatch.setenv("KATIB_TRIAL_ATTEMPT", "2")
    monkeypatch.setenv("KATIB_TRIAL_NAMESPACE", "default")
    monkeypatch.setenv("KATIB_DB_MANAGER_SERVICE_IP", host)
    monkeypatch.setenv("KATIB_DB_MANAGER_SERVICE_NAMESPACE", "")
    monkeypatch.setenv("KATIB_DB_MANAGER_SERVICE_PORT", port)


def values(engine):
    return [(item.metric, item.value) for item in SqlLog(engine).read("uid-a", "2")]


def test_a_trial_reports_its_metrics_in_order(trial, engine):
    for loss in (0.5, 0.25):
        assert not katib_py.report_metrics({"loss": loss, "epoch": 1})
    assert sorted(values(engine)) == [("epoch", "1"), ("epoch", "1"), ("loss", "0.25"), ("loss", "0.5")]
    assert [value for metric, value in values(engine) if metric == "loss"] == ["0.5", "0.25"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        ("1e-3", "1e-3"),
        (" 0.5\n", "0.5"),
        (np.float32(0.1), "0.1"),
        (np.array([0.5]).reshape(()), "0.5"),
        (True, "1.0"),
        (Fraction(1, 4), "0.25"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_whatever_is_a_number_is_reported_as_it_prints(trial, engine, value, text):
    report_metrics({"loss": value})
    assert values(engine) == [("loss", text)]


@pytest.mark.parametrize("value", ["abc", None, [1, 2], ""])
def test_a_value_that_is_no_number_is_refused_and_nothing_reported(trial, engine, value):
    with pytest.raises(ValueError, match=r"metric 'loss' is .*; must be a number"):
        report_metrics({"accuracy": 1, "loss": value})
    assert values(engine) == []


def test_a_report_without_metrics_only_asks(trial, engine):
    assert not report_metrics({})


def test_a_trial_that_was_told_to_stop_hears_why(trial, engine):
    with engine.begin() as connection:
        record_stop(connection, "uid-a", "2", "hopeless")
    answer = report_metrics({"loss": 1})
    assert answer
    assert answer.reason == "hopeless"


def test_outside_a_trial_there_is_nothing_to_report(monkeypatch):
    monkeypatch.delenv("KATIB_TRIAL_NAME", raising=False)
    with pytest.raises(ValueError, match="KATIB_TRIAL_NAME is not set"):
        report_metrics({"loss": 1})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_cannot_be_reached_is_an_error_that_names_it(trial):
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(RuntimeError, match=f"no answer from {address} within 0.3 s"):
        report_metrics({"loss": 1}, address, timeout=0.3)


def test_a_refusal_is_not_repeated(trial, engine, address, monkeypatch):
    monkeypatch.setattr("katib_py.sdk.report_metrics.datetime", Wrong)
    with pytest.raises(RuntimeError, match=f"{address} answers INVALID_ARGUMENT: time_stamp is 'never'"):
        report_metrics({"loss": 1})


class Wrong:
    @staticmethod
    def now(_):
        return Wrong

    @staticmethod
    def isoformat(timespec):
        return "never"


def test_a_report_waits_for_a_server_that_comes_later(trial, engine):
    port = free_port()
    started = []
    later = threading.Timer(0.3, lambda: started.append(serve(engine, f"127.0.0.1:{port}")[0]))
    later.start()
    report_metrics({"loss": 1}, f"127.0.0.1:{port}", timeout=30)
    assert values(engine) == [("loss", "1")]
    later.join()
    started[0].stop(None).wait()


def test_a_report_is_repeated_until_the_server_can_take_it_and_counts_once(trial, engine):
    class Failing(grpc.ServerInterceptor):
        """Takes the first two reports and loses the answers."""

        calls = itertools.count()

        def intercept_service(self, continuation, details):
            handler = continuation(details)
            fail = next(self.calls) < 2

            def answer(request, context):
                reply = handler.unary_unary(request, context)
                if fail:
                    context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
                return reply

            return grpc.unary_unary_rpc_method_handler(
                answer, api.ReportObservationLogRequest.FromString, api.ReportObservationLogReply.SerializeToString
            )

    server, address = serve(engine, "127.0.0.1:0", Failing())
    report_metrics({"loss": 1}, address, timeout=30)
    server.stop(None).wait()
    assert values(engine) == [("loss", "1")]


def test_several_processes_of_a_trial_report_side_by_side(trial, engine):
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=report_metrics, args=({"loss": number},)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(values(engine)) == [("loss", "0"), ("loss", "1")]


def test_a_trial_shows_the_token_that_its_environment_has(trial, engine, monkeypatch):
    key = "0123456789abcdef"
    server, address = serve(engine, "127.0.0.1:0", token_key=key)
    with pytest.raises(RuntimeError, match="answers PERMISSION_DENIED: a report needs the token of its trial"):
        report_metrics({"loss": 1}, address)
    monkeypatch.setenv("KATIB_TRIAL_TOKEN", trial_token(key, "default", "trial-a", "uid-a"))
    report_metrics({"loss": 1}, address)
    server.stop(None).wait()
    assert values(engine) == [("loss", "1")]


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        ({}, "katib-db-manager.kubeflow:6789"),
        ({"IP": "db", "NAMESPACE": "ns", "PORT": "1"}, "db.ns:1"),
        ({"IP": "127.0.0.1", "NAMESPACE": "", "PORT": "1"}, "127.0.0.1:1"),
        ({"IP": "127.0.0.1", "PORT": "1"}, "127.0.0.1:1"),
        ({"IP": "db", "NAMESPACE": ""}, "db:6789"),
    ],
)
def test_the_address_is_the_environments(environment, address):
    variables = {f"KATIB_DB_MANAGER_SERVICE_{key}": value for key, value in environment.items()}
    assert default_address(variables) == address


def test_importing_katib_py_brings_nothing_heavy_along():
    program = (
        "import sys, katib_py; katib_py.report_metrics\n"
        "print([name for name in ('grpc', 'google.protobuf', 'pydantic', 'sqlalchemy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert shown.stdout == "[]\n"


def test_a_name_that_is_not_there_is_an_ordinary_error():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        katib_py.nothing  # noqa: B018
