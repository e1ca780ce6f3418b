from __future__ import annotations

import os
import signal
import subprocess
import sys

import grpc
import pytest

from katib_py.wire import api, rpc


@pytest.fixture
def start(db_url):
    processes = []

    def start(*arguments, **options):
        command = [sys.executable, "-m", "katib_py.observations", "--db", db_url]
        process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE, text=True, **options
        )
        processes.append(process)
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:")
        # With a pipe it says whose line it is as well.
        return process, line.removesuffix(f" (pid {process.pid})\n").split()[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def values(address):
    with grpc.insecure_channel(address) as channel:
        reply = rpc.call(channel, "DBManager", "GetObservationLog")(api.GetObservationLogRequest(trial_name="a"))
    return [log.metric.value for log in reply.observation_log.metric_logs]


def test_it_says_where_it_listens_and_ends_in_peace_when_told(start):
    process, address = start()
    assert values(address) == []
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.every_database
def test_two_servers_share_one_database(start):
    (_, first), (_, second) = start(), start()
    with grpc.insecure_channel(first) as channel:
        log = api.MetricLog(time_stamp="2026-01-01T00:00:00Z", metric=api.Metric(name="loss", value="1"))
        request = api.ReportObservationLogRequest(trial_name="a", observation_log=api.ObservationLog(metric_logs=[log]))
        rpc.call(channel, "DBManager", "ReportObservationLog")(request)
    assert values(second) == ["1"]


def test_it_ends_once_nobody_holds_the_pipe(start):
    here, there = os.pipe()
    process, address = start("--parent-pipe", str(here), pass_fds=[here])
    os.close(here)
    assert values(address) == []
    os.close(there)
    assert process.wait(10) == 0


def test_it_stays_while_a_trial_still_holds_the_pipe(start):
    here, there = os.pipe()
    process, _ = start("--parent-pipe", str(here), pass_fds=[here])
    trial = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[there])
    os.close(here)
    os.close(there)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    trial.communicate()
    assert process.wait(10) == 0


def test_an_address_in_use_is_one_clear_line(start):
    _, address = start()
    command = [sys.executable, "-m", "katib_py.observations", "--db", "sqlite://", "--listen", address]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(f"error: cannot listen on {address}")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--db", "oracle://x"], 2, "error: --db: is oracle://x; oracle is no database that works here"),
        (["--db", "sqlite:////proc/x.db"], 3, "error: the database sqlite:////proc/x.db (--db"),
        (["--db", "sqlite://", "--listen", "nowhere"], 2, "error: --listen: is 'nowhere'; must be HOST:PORT or unix:"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_a_status(arguments, status, words):
    command = [sys.executable, "-m", "katib_py.observations", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == status
    assert ended.stderr.startswith(words)
    assert len(ended.stderr.splitlines()) == 1
