"""A population that trains on from checkpoints, whose controller is killed again and again."""

import json
import random
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from support.shell import document

from trial_templates.sgd_digits.checkpoint import legs_of

PARENT = "pbt.suggestion.katib.kubeflow.org/parent"
MEMBER = "pbt.suggestion.katib.kubeflow.org/member"
PARAMETERS = {"lr": ("0.01", "0.4"), "momentum": ("0", "0.9")}


def population(size=5, trials=20):
    settings = {"n_population": size, "truncation_threshold": 0.4, "random_state": 3}
    settings["suggestion_trial_dir"] = "/opt/checkpoints"
    command = f"exec {sys.executable} -m trial_templates.sgd_digits.train --epochs=2 --further"
    command += " --lr=${trialParameters.lr} --momentum=${trialParameters.momentum} --checkpoint=/opt/checkpoints"
    given = document(
        "demo",
        command,
        objective={"type": "maximize", "objectiveMetricName": "accuracy"},
        maxTrialCount=trials,
        algorithm={
            "algorithmName": "pbt",
            "algorithmSettings": [{"name": name, "value": str(value)} for name, value in settings.items()],
        },
        parameters=[
            {"name": name, "parameterType": "double", "feasibleSpace": {"min": low, "max": high, "step": "0.01"}}
            for name, (low, high) in PARAMETERS.items()
        ],
    )
    given["spec"]["trialTemplate"]["trialParameters"] = [{"name": name, "reference": name} for name in PARAMETERS]
    return given


@pytest.fixture
def file(shell):
    path = shell.folder / "demo.json"
    path.write_text(json.dumps(population()))
    return path


def check_lineage(shell):
    """Every trial went on from exactly the weights that its parent left, for exactly its two epochs."""
    trials = json.loads(shell("get", "trials", "demo", "-o", "json").stdout)["items"]
    kept = {}
    for trial in trials:
        name = trial["metadata"]["name"]
        kept[name] = trial, legs_of(shell.folder / f"home/runs/default/demo/{name}/checkpoint")
    exploited = 0
    for name, (trial, legs) in kept.items():
        labels = trial["spec"]["labels"]
        own = legs[-1]
        assigned = {item["name"]: float(item["value"]) for item in trial["spec"]["parameterAssignments"]}
        assert (own.trial, own.lr, own.momentum) == (name, assigned["lr"], assigned["momentum"])
        assert own.end - own.begin == 2
        if (parent := labels.get(PARENT)) is None:
            assert len(legs) == 1
            continue
        before = kept[parent][1]
        assert legs[:-1] == before
        assert (own.given, own.begin) == (before[-1].left, before[-1].end)
        exploited += kept[parent][0]["spec"]["labels"][MEMBER] != labels[MEMBER]
    return len(trials), exploited


def test_children_go_on_from_the_weights_of_the_winners(shell, file):
    done = shell("run", file)
    assert done.returncode == 0, done.stderr
    trials, exploited = check_lineage(shell)
    assert trials == 20
    assert exploited >= 3


def test_the_lineage_survives_a_controller_that_is_killed_at_any_moment(shell, file):
    moments = random.Random(5)
    for _ in range(4):
        engine = shell.start("run", file)
        with suppress(subprocess.TimeoutExpired):
            engine.communicate(timeout=moments.uniform(3.0, 6.0))
        engine.send_signal(signal.SIGKILL)
        engine.communicate()
    done = shell("run", file)
    assert done.returncode == 0, done.stderr
    trials, exploited = check_lineage(shell)
    assert trials == 20
    assert exploited >= 3
