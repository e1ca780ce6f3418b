from __future__ import annotations

import os
import signal
import subprocess
import sys

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from katib_py.wire import api, rpc


@pytest.fixture
def start():
    processes = []

    def start(*arguments, listen="127.0.0.1:0", **options):
        command = [sys.executable, "-m", "suggestion_services", "--listen", listen, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
        processes.append(process)
        # With a pipe it says whose line it is as well.
        line = process.stdout.readline().removesuffix(f" (pid {process.pid})\n")
        return process, line.removeprefix("listening on ").strip()

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def ask(address, experiment):
    request = api.GetSuggestionsRequest(experiment=experiment, current_request_number=2)
    with grpc.insecure_channel(address) as channel:
        return rpc.call(channel, "Suggestion", "GetSuggestions")(request)


def test_it_says_where_it_listens_answers_and_ends_in_peace(start, experiment):
    process, address = start()
    assert address.startswith("127.0.0.1:")
    assert len(ask(address, experiment).parameter_assignments) == 2
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0
    assert process.stdout.read() == process.stderr.read() == ""


def test_it_ends_when_nobody_holds_the_pipe(start, tmp_path, experiment):
    here, there = os.pipe()
    process, address = start("--parent-pipe", str(here), listen=f"unix:{tmp_path}/s", pass_fds=[here])
    os.close(here)
    assert len(ask(address, experiment).parameter_assignments) == 2
    os.close(there)
    assert process.wait(10) == 0


def test_a_chosen_part_of_the_algorithms_is_served(start, experiment):
    _, address = start("--algorithms", "grid, sobol")
    with pytest.raises(grpc.RpcError) as error:
        ask(address, experiment)
    assert "unknown algorithm name random; this service has grid, sobol" in error.value.details()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--algorithms", "gird"], 2, "did you mean grid?"),
        (["--listen", "nowhere"], 2, "must be HOST:PORT or unix:PATH"),
        (["--listen", "nowhere.invalid:1"], 1, "cannot listen on"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_a_status(start, arguments, status, words):
    process, _ = start(*arguments)
    assert process.wait(10) == status
    assert words in process.stderr.read()


@pytest.mark.parametrize("name", ["", "manager.v1beta1.Suggestion", "api.v1.beta1.EarlyStopping"])
def test_health_is_told_under_katibs_name(channel, name):
    reply = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=name))
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_describes_the_services(channel):
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="api.v1.beta1.Suggestion"),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
    ]
    replies = list(reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter(asked)))
    names = {service.name for service in replies[0].list_services_response.service}
    assert {"api.v1.beta1.Suggestion", "api.v1.beta1.EarlyStopping", "grpc.health.v1.Health"} <= names
    assert all(reply.file_descriptor_response.file_descriptor_proto for reply in replies[1:])
