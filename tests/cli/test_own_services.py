"""Local runs with services that a KatibConfig names."""

import json

import pytest
import yaml
from support.shell import Shell
from support.third_party import EarlyStopping, Suggestion, serving

PARAMETERS = [{"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}]


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def config(shell, **runtime):
    path = shell.folder / "katib-config.yaml"
    head = {"apiVersion": "config.kubeflow.org/v1beta1", "kind": "KatibConfig"}
    path.write_text(yaml.safe_dump({**head, "runtime": runtime}))
    return path


def experiment(shell, command="echo loss=${trialParameters.lr}", **spec):
    path = shell.write(command=command, parameters=PARAMETERS, **spec)
    document = yaml.safe_load(path.read_text())
    document["spec"]["trialTemplate"]["trialParameters"] = [{"name": "lr", "reference": "lr"}]
    path.write_text(yaml.safe_dump(document))
    return path


def status(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])["status"]


def test_a_search_asks_the_service_at_the_address(shell):
    service = Suggestion(["0.4", "0.3", "0.2", "0.1"])
    with serving(Suggestion=service) as address:
        given = config(shell, suggestions=[{"algorithmName": "theirs", "address": address}])
        file = experiment(shell, algorithm={"algorithmName": "theirs"})
        assert shell("validate", file, "--config", given).returncode == 0
        best = status(shell("run", file, "--config", given, "-o", "json"))["currentOptimalTrial"]
    assert best["observation"]["metrics"][0]["latest"] == "0.1"
    assert not any(request.HasField("history") for request in service.requests)


def test_other_algorithms_stay_ours(shell):
    given = config(shell, suggestions=[{"algorithmName": "theirs", "address": "127.0.0.1:1"}])
    assert status(shell("run", experiment(shell), "--config", given, "-o", "json"))["trialsSucceeded"] == 4


def test_what_the_service_refuses_is_said(shell):
    with serving(Suggestion=Suggestion([])) as address:
        given = config(shell, suggestions=[{"algorithmName": "theirs", "address": address}])
        bad = {"algorithmName": "theirs", "algorithmSettings": [{"name": "bad", "value": "1"}]}
        done = shell("validate", experiment(shell, algorithm=bad), "--config", given)
    assert done.returncode == 2
    assert "bad is no setting of mine" in done.stderr


def test_an_early_stopping_service_gives_its_rules(shell):
    command = "for i in $(seq 80); do echo loss=${trialParameters.lr}; echo acc=0.1; sleep 0.1; done"
    objective = {"type": "minimize", "objectiveMetricName": "loss", "additionalMetricNames": ["acc"]}
    with serving(EarlyStopping=EarlyStopping("0.5", 2)) as address:
        given = config(shell, earlyStoppings=[{"algorithmName": "theirs", "address": address}])
        rules = {"algorithmName": "theirs"}
        file = experiment(shell, command, objective=objective, earlyStopping=rules, maxTrialCount=2)
        assert status(shell("run", file, "--config", given, "-o", "json"))["trialsEarlyStopped"] == 2
        assert "must be one of" in shell("validate", file).stderr


def test_an_image_needs_a_cluster(shell):
    given = config(shell, suggestions=[{"algorithmName": "packed", "image": "registry.example/packed:1"}])
    done = shell("run", experiment(shell, algorithm={"algorithmName": "packed"}), "--config", given)
    assert done.returncode == 2
    assert "is packed, which the KatibConfig has as an image; start it yourself and give its address" in done.stderr


def test_what_is_wrong_with_the_katib_config_is_said_with_its_file(shell):
    given = config(shell, suggestions=[{"algorithmName": "theirs", "address": "nowhere"}])
    done = shell("run", experiment(shell), "--config", given)
    assert done.returncode == 2
    assert "katib-config.yaml: runtime.suggestions[0].address: is 'nowhere'; must be HOST:PORT" in done.stderr
