from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from sqlalchemy import make_url

from katib_py.core.tokens import call_metadata, controller_token
from katib_py.observations import environment
from katib_py.observations.__main__ import main
from katib_py.wire import api, rpc


@pytest.fixture
def start(db_url):
    processes = []

    def start(*arguments, env=None, **options):
        command = [sys.executable, "-m", "katib_py.observations", "--listen", "127.0.0.1:0", *arguments]
        environ = {**os.environ, **({"KATIB_DB_URL": db_url} if env is None else env)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, **options)
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


@pytest.mark.every_database("mariadb")
def test_two_servers_share_one_database(start):
    (_, first), (_, second) = start(), start()
    report(first)
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


def report(address, token=""):
    log = api.MetricLog(time_stamp="2026-01-01T00:00:00Z", metric=api.Metric(name="loss", value="1"))
    request = api.ReportObservationLogRequest(trial_name="a", observation_log=api.ObservationLog(metric_logs=[log]))
    with grpc.insecure_channel(address) as channel:
        rpc.call(channel, "DBManager", "ReportObservationLog")(request, metadata=call_metadata(token))


@pytest.fixture
def secret_database(mariadb_server):
    """A database that lets a user with a password in, as the environment names it."""
    name = make_url(mariadb_server.database()).database
    user = f"u_{name}"
    mariadb_server.execute(
        f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'geheim/1'", f"GRANT ALL ON {name}.* TO {user}@'127.0.0.1'"
    )
    return {
        "DB_NAME": "mysql",
        "DB_USER": user,
        "DB_PASSWORD": "geheim/1",
        "KATIB_MYSQL_DB_HOST": "127.0.0.1",
        "KATIB_MYSQL_DB_PORT": str(mariadb_server.port),
        "KATIB_MYSQL_DB_DATABASE": name,
    }


def test_katibs_variables_name_the_database_and_the_password_is_nowhere_to_be_seen(start, secret_database):
    process, address = start(env=secret_database)
    report(address)
    assert values(address) == ["1"]
    assert "geheim" not in Path(f"/proc/{process.pid}/cmdline").read_text()


def test_the_command_line_hands_the_password_on_unseen(tmp_path, secret_database):
    url = environment.database_url(secret_database)
    command = [sys.executable, "-m", "katib_py.cli", "db-manager", "--db", url, "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert process.stdout.readline().startswith("listening on ")
        assert "geheim" not in Path(f"/proc/{process.pid}/cmdline").read_text()
    finally:
        process.kill()
        process.communicate()


def run(env, *arguments):
    command = [sys.executable, "-m", "katib_py.observations", "--listen", "127.0.0.1:0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **env})


def test_a_password_that_is_wrong_is_said_and_not_shown(secret_database):
    ended = run({**secret_database, "DB_PASSWORD": "falsch/1"}, "--connect-timeout", "0s")
    assert ended.returncode == 3
    assert "(DB_NAME, DB_USER, DB_PASSWORD and KATIB_MYSQL_DB_HOST, …_PORT, …_DATABASE) cannot be used" in ended.stderr
    assert "Access denied" in ended.stderr
    assert "falsch" not in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_database_that_is_not_there_yet_is_awaited(start, mariadb_server):
    url = mariadb_server.database()
    mariadb_server.stop()
    command = [sys.executable, "-m", "katib_py.observations", "--listen", "127.0.0.1:0"]
    environ = {**os.environ, "KATIB_DB_URL": url}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ)
    try:
        said = process.stderr.readline()
        mariadb_server.start()
        assert said.startswith("waiting up to 60 s for mysql+pymysql://root@/katib_")
        assert "a server must answer there" in said
        assert process.stdout.readline().startswith("listening on ")
    finally:
        process.kill()
        process.communicate()


def test_the_wait_for_a_database_can_be_ended(tmp_path):
    command = [sys.executable, "-m", "katib_py.observations", "--db", f"postgresql:///x?host={tmp_path}"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith("waiting up to 60 s for ")
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("env", "arguments", "status", "words"),
    [
        ({}, [], 2, "--db: is not given; must be a URL such as sqlite:///katib.db, or KATIB_DB_URL or DB_NAME must be"),
        ({"DB_NAME": "oracle"}, [], 2, "DB_NAME: is 'oracle'; must be mysql or postgres"),
        ({"KATIB_DB_URL": "sqlite://"}, ["--connect-timeout", "soon"], 2, "--connect-timeout: is 'soon'; must be"),
        ({"KATIB_DB_URL": "sqlite://", "KATIB_TOKEN_KEY": "x"}, [], 2, "KATIB_TOKEN_KEY: has 1 characters; must"),
        ({"KATIB_DB_URL": "sqlite://", "SKIP_DB_INITIALIZATION": "true"}, [], 3, "its tables are not there"),
        ({"KATIB_DB_URL": "sqlite://"}, ["--export-katib"], 2, "Katib works on mysql:// and postgresql:// only"),
        (
            {"KATIB_DB_URL": "postgresql://localhost:1/x"},
            ["--export-katib", "--connect-timeout", "0s"],
            3,
            "not let us",
        ),
    ],
)
def test_an_environment_that_cannot_be_served_is_one_line_and_a_status(
    env, arguments, status, words, monkeypatch, capsys
):
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    monkeypatch.setattr(os, "environ", env)
    assert main(arguments) == status
    said = capsys.readouterr().err
    assert words in said
    assert len(said.splitlines()) == 1


def test_katibs_table_is_written_again_by_a_command(start, db_url, mariadb_server):
    url = mariadb_server.database()
    process, address = start(env={"KATIB_DB_URL": url})
    report(address)
    process.kill()
    process.wait()
    ended = run({"KATIB_DB_URL": url}, "--export-katib")
    assert ended.returncode == 0, ended.stderr
    assert "Katib's table observation_logs is there again, with 1 measurements" in ended.stdout


def test_with_a_key_nobody_reports_without_a_token(start, db_url):
    key = "0123456789abcdef"
    _, address = start(env={"KATIB_DB_URL": db_url, "KATIB_TOKEN_KEY": key})
    with pytest.raises(grpc.RpcError) as caught:
        report(address)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    report(address, controller_token(key))
