"""Algorithms that other packages bring along, in real processes that find them on their path."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import grpc
import pytest
from support.packages import CLIMB, install
from support.shell import Shell

from katib_py.wire import api, rpc


@pytest.fixture
def packages(tmp_path):
    folder = tmp_path / "packages"
    folder.mkdir()
    return folder


@pytest.fixture
def served(packages, tmp_path):
    """Starts a server that finds the packages; its channel, and later what it wrote."""
    started = []

    def served():
        command = [sys.executable, "-m", "suggestion_services", "--listen", f"unix:{tmp_path}/socket"]
        env = {**os.environ, "PYTHONPATH": str(packages)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        started.append(process)
        process.stdout.readline()
        return grpc.insecure_channel(f"unix:{tmp_path}/socket")

    yield served
    for process in started:
        process.kill()
        process.communicate()


def ask(channel, experiment, algorithm, **settings):
    experiment.spec.algorithm.Clear()
    experiment.spec.algorithm.algorithm_name = algorithm
    for name, value in settings.items():
        experiment.spec.algorithm.algorithm_settings.add(name=name, value=value)
    request = api.GetSuggestionsRequest(experiment=experiment, current_request_number=2)
    return rpc.call(channel, "Suggestion", "GetSuggestions")(request)


def refusal(*arguments, **settings):
    with pytest.raises(grpc.RpcError) as error:
        ask(*arguments, **settings)
    assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return error.value.details()


def test_an_installed_algorithm_is_served_like_ours(packages, served, experiment):
    install(packages, "climbing", CLIMB, climb="climbing:Climb")
    channel = served()
    assert len(ask(channel, experiment, "climb", width="0.2", silent="true", title="any").parameter_assignments) == 2
    assert "width must be > 0" in refusal(channel, experiment, "climb", width="0")
    assert "silent must be true or false" in refusal(channel, experiment, "climb", silent="yes")
    assert "did you mean width?" in refusal(channel, experiment, "climb", with_="1", widht="1")


def test_an_installed_algorithm_searches_in_a_local_run(packages, tmp_path, monkeypatch):
    install(packages, "climbing", CLIMB, climb="climbing:Climb")
    monkeypatch.setenv("PYTHONPATH", str(packages))
    shell = Shell(tmp_path)
    done = shell("run", shell.write(algorithm={"algorithmName": "climb"}), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"]["trialsSucceeded"] == 4


def test_what_cannot_be_loaded_says_why_and_leaves_the_others_alone(packages, served, experiment):
    install(packages, "broken", "import nothing_of_this_name", broken="broken:Climb")
    install(packages, "absent", "", absent="absent:Climb", odd="json:dumps")
    bare = "from suggestion_services import *\nclass Bare(Algorithm):\n    width = setting(1.0, '')\n    suggest = 1"
    install(packages, "bare", bare, bare="bare:Bare")
    channel = served()
    assert "broken 1.0 (broken:Climb) cannot be loaded: ModuleNotFoundError" in refusal(channel, experiment, "broken")
    assert "absent 1.0 (absent:Climb) cannot be loaded: AttributeError" in refusal(channel, experiment, "absent")
    assert "dumps lacks suggest, problems" in refusal(channel, experiment, "odd")
    assert "write @dataclass(frozen=True) above the class" in refusal(channel, experiment, "bare")
    assert len(ask(channel, experiment, "random").parameter_assignments) == 2


def test_of_two_with_one_name_ours_is_served_and_otherwise_neither(packages, served, experiment):
    install(packages, "climbing", CLIMB, climb="climbing:Climb", random="climbing:Climb")
    install(packages, "rival", CLIMB, climb="rival:Climb")
    channel = served()
    assert "unknown setting width" in refusal(channel, experiment, "random", width="1")
    words = refusal(channel, experiment, "climb")
    assert "climbing 1.0 (climbing:Climb), rival 1.0 (rival:Climb) all offer; uninstall all but one" in words


def test_clashes_are_warned_about_at_the_start(packages, tmp_path):
    install(packages, "climbing", CLIMB, climb="climbing:Climb", random="climbing:Climb")
    install(packages, "rival", CLIMB, climb="rival:Climb")
    command = [sys.executable, "-m", "suggestion_services", "--algorithms", "climb"]
    env = {**os.environ, "PYTHONPATH": str(packages)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)
    assert done.returncode == 2
    assert "algorithm random of climbing 1.0 (climbing:Climb) is not served: random is one of our own" in done.stderr
    assert "algorithm climb is not served: climbing 1.0 (climbing:Climb), rival 1.0 (rival:Climb)" in done.stderr
