"""The collector beside a training, as a process: what it reads reaches the database, whatever happens to the server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.ports import free_port
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Scalars
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from katib_py.backends.local.environment import expand
from katib_py.collectors.options import parse_options
from katib_py.core.experiment import MetricsCollectorSpec
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.sidecar import arguments
from katib_py.core.summary import read_summary
from katib_py.observations.database import connect
from katib_py.observations.log import SqlLog
from katib_py.observations.schema import prepare

TRIAL = {"KATIB_TRIAL_UID": "uid-a", "KATIB_TRIAL_NAMESPACE": "team-a", "KATIB_TRIAL_ATTEMPT": "2"}
BORN = 1_760_000_000_000 << 20


class Server:
    """A db-manager on one address and one database, which can be killed and started again."""

    def __init__(self, db_url):
        self.address = f"127.0.0.1:{free_port()}"
        self.engine = connect(db_url)
        prepare(self.engine)
        self._command = [sys.executable, "-m", "katib_py.observations", "--db", db_url, "--listen", self.address]
        self.process = None

    def start(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline().startswith("listening")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def values(self, attempt="2", metric="acc"):
        return [item.value for item in SqlLog(self.engine).read("uid-a", attempt) if item.metric == metric]


@pytest.fixture
def server(db_url):
    server = Server(db_url)
    yield server
    server.kill()
    server.engine.dispose()


@pytest.fixture
def sidecar(server, tmp_path):
    """Starts a collector that says when it is there."""
    processes = []

    def start(*flags, command=(sys.executable, "-m", "katib_py.collectors"), grace=20):
        message = tmp_path / "termination-log"
        message.write_text("")
        fixed = ["-t", "trial-a", "-m", "acc", "-m", "loss", "-s-db", server.address, "-born", str(BORN)]
        process = subprocess.Popen(
            [*command, *fixed, "-grace", str(grace), "-message", str(message), *map(str, flags)],
            env={**os.environ, **TRIAL},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        wait_for(lambda: message.read_text() == "reading")
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def ended(process, tmp_path):
    """What the collector leaves when the training has ended."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    return read_summary((tmp_path / "termination-log").read_text())


def wait_for(condition):
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


def lines(begin, end):
    return "".join(f"epoch {number}: acc={number / 1000} loss=1\n" for number in range(begin, end))


def numbers(begin, end):
    return [str(number / 1000) for number in range(begin, end)]


def test_metrics_arrive_while_the_training_runs_and_the_rest_when_it_ends(server, sidecar, tmp_path):
    server.start()
    metrics = tmp_path / "metrics.log"
    process = sidecar("-path", metrics)
    metrics.write_text(lines(0, 10))
    wait_for(lambda: server.values() == numbers(0, 10))
    with metrics.open("a") as file:
        file.write(lines(10, 20) + "acc=0.5")
    summary = ended(process, tmp_path)
    assert server.values() == [*numbers(0, 20), "0.5"]
    assert summary.reported
    assert summary.observation[0] == ("acc", "0.0", "0.5", "0.5")


def test_nothing_is_lost_or_doubled_while_the_server_dies_and_comes_back(server, sidecar, tmp_path):
    metrics = tmp_path / "metrics.log"
    process = sidecar("-path", metrics)
    with metrics.open("w", buffering=1) as file:
        for round_ in range(4):
            file.write(lines(round_ * 1000, round_ * 1000 + 500))
            server.start()
            wait_for(lambda last=round_ * 1000 + 499: server.values()[-1:] == [str(last / 1000)])
            file.write(lines(round_ * 1000 + 500, round_ * 1000 + 1000))
            server.kill()
    server.start()
    summary = ended(process, tmp_path)
    assert summary.reported
    assert server.values() == numbers(0, 4000)


def test_a_collector_that_is_killed_begins_again_and_doubles_nothing(server, sidecar, tmp_path):
    server.start()
    metrics = tmp_path / "metrics.log"
    metrics.write_text(lines(0, 2000))
    first = sidecar("-path", metrics)
    wait_for(server.values)
    first.kill()
    first.wait()
    assert ended(sidecar("-path", metrics), tmp_path).reported
    assert server.values() == numbers(0, 2000)


def test_what_cannot_be_reported_is_left_as_a_summary_in_time(server, sidecar, tmp_path):
    metrics = tmp_path / "metrics.log"
    metrics.write_text(lines(0, 60_000))  # more than is held at once
    process = sidecar("-path", metrics, grace=4)
    summary = ended(process, tmp_path)
    assert not summary.reported
    assert summary.reason.startswith("UNAVAILABLE")
    assert summary.observation == (("acc", "0.0", "59.999", "59.999"), ("loss", "1", "1", "1"))


def test_more_than_is_held_at_once_arrives_once_the_server_is_there(server, sidecar, tmp_path):
    metrics = tmp_path / "metrics.log"
    metrics.write_text(lines(0, 60_000))
    process = sidecar("-path", metrics)
    time.sleep(1)  # it reads what it may, and tries
    server.start()
    assert ended(process, tmp_path).reported
    assert server.values() == numbers(0, 60_000)


def test_an_objective_that_never_appears_is_explained_by_the_names_that_did(server, sidecar, tmp_path):
    server.start()
    (tmp_path / "metrics.log").write_text("accuracy=0.5\n")
    summary = ended(sidecar("-path", tmp_path / "metrics.log"), tmp_path)
    assert summary.reported
    assert summary.observation[0].latest == "unavailable"
    assert summary.seen == ("accuracy",)


def test_json_lines_and_filters_are_read_as_the_flags_say(server, sidecar, tmp_path):
    server.start()
    (tmp_path / "json").write_text(json.dumps({"acc": 0.25, "loss": "1e-3"}) + "\n")
    ended(sidecar("-path", tmp_path / "json", "-format", "JSON"), tmp_path)
    assert (server.values(), server.values(metric="loss")) == (["0.25"], ["1e-3"])
    (tmp_path / "text").write_text("acc: 0.75; x\n")
    ended(sidecar("-path", tmp_path / "text", r"-f=(\w+): ([\d.]+); x", "-born", BORN * 2), tmp_path)
    assert server.values() == ["0.25", "0.75"]


def test_event_files_are_read_while_they_grow(server, sidecar, tmp_path):
    server.start()
    process = sidecar("-kind", "TensorFlowEvent", "-path", tmp_path / "events")
    writer = EventFileWriter(str(tmp_path / "events"))
    for step in range(3):
        value = Scalars.Value(tag="acc", simple_value=step)
        writer.add_event(Event(wall_time=1_750_000_000 + step, step=step, summary=Scalars(value=[value])))
        writer.flush()
    wait_for(lambda: len(server.values()) == 3)
    writer.close()
    assert ended(process, tmp_path).observation[0] == ("acc", "0", "2", "2")


def test_a_served_page_is_scraped(server, sidecar, tmp_path):
    server.start()
    port = free_port()
    (tmp_path / "metrics").write_text("acc 0.5\n")
    with subprocess.Popen(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory", str(tmp_path)],
        stderr=subprocess.DEVNULL,
    ) as page:
        process = sidecar("-kind", "PrometheusMetric", "-url", f"http://127.0.0.1:{port}/metrics")
        wait_for(lambda: server.values() == ["0.5"])
        page.kill()
    assert ended(process, tmp_path).reported


def test_the_command_line_hands_its_flags_over_as_they_are(server, sidecar, tmp_path):
    server.start()
    (tmp_path / "text").write_text("-acc;x: 0.75\n")
    command = (sys.executable, "-m", "katib_py.cli", "collector")
    process = sidecar("-path", tmp_path / "text", "-m=-acc;x", r"-f=(-\w+;x): ([\d.]+)", command=command)
    ended(process, tmp_path)
    assert server.values(metric="-acc;x") == ["0.75"]


@pytest.mark.parametrize("flags", [["-t", "a"], ["-t", "a", "-m", "b", "-kind", "StdOut"], ["-t=a", "-m=b", "-url=x"]])
def test_flags_that_cannot_be_used_are_said(flags, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_options(flags, {})
    assert caught.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_a_filter_that_is_none_is_one_line(server, tmp_path):
    command = [sys.executable, "-m", "katib_py.collectors", "-t=a", "-m=b", "-f=(", "-message", tmp_path / "m"]
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert process.stderr.startswith("error: spec.metricsCollectorSpec.source.filter.metricsFormat[0]: is '('")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PATHS = st.lists(st.from_regex(r"[a-z0-9 $=-]{1,5}", fullmatch=True), min_size=1, max_size=3).map("/".join)


@given(st.lists(TEXT, min_size=1, max_size=3), st.lists(TEXT, max_size=3), PATHS, st.sampled_from(["TEXT", "JSON"]))
def test_what_the_webhook_writes_is_what_the_collector_reads(metrics, patterns, path, format):
    objective = ObjectiveSpec(
        type=ObjectiveType.MAXIMIZE, objective_metric_name=metrics[0], additional_metric_names=tuple(metrics[1:])
    )
    source = {
        "fileSystemPath": {"kind": "File", "path": f"/{path}", "format": format},
        "filter": {"metricsFormat": patterns},
    }
    spec = MetricsCollectorSpec.model_validate({"collector": {"kind": "File"}, "source": source})
    handed = [expand(text, {}) for text in arguments("demo-x", objective, spec, "db:1")]
    options = parse_options(handed, {})
    assert (options.trial, options.address) == ("demo-x", "db:1")
    assert options.objective.metric_names == tuple(metrics)
    read = options.spec.source
    assert (read.file_system_path, read.filter) == (spec.source.file_system_path, spec.source.filter)


@pytest.mark.parametrize(
    "http", [{"port": 9090, "path": "/metrics"}, {"port": "80", "path": "/a?b=c", "scheme": "HTTPS"}]
)
def test_the_page_to_scrape_is_handed_over(http):
    spec = MetricsCollectorSpec.model_validate({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": http}})
    options = parse_options(arguments("t", ObjectiveSpec(objective_metric_name="a"), spec, "db:1"), {})
    read = options.spec.source.http_get
    assert (str(read.port), read.path, read.scheme.upper() or "HTTP") == (
        str(http["port"]),
        http["path"],
        http.get("scheme", "HTTP"),
    )
