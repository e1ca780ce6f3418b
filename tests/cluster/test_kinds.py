"""Trials of every kind: each with its definition, its controller played, and a kubelet that has its pods' logs."""

import asyncio
import json

import pytest
from support.cluster.experiments import last
from support.cluster.kind_definitions import define
from support.cluster.played_kinds import KINDS
from support.cluster.stories import Stories

MARK = "katib.kubeflow.org/"
TRIAL = f"{MARK}trial"


@pytest.fixture(scope="module")
def stories(api_server, shared_namespace, shared_controller):
    define(api_server.client, *(kind for kind in KINDS.values() if kind.kind != "Job"))
    return asyncio.run(Stories(shared_namespace).play(api_server.kubeconfig))


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def observed(trial):
    """Minimum and maximum of the objective metric."""
    metric = trial["status"]["observation"]["metrics"][0]
    return metric["min"], metric["max"]


def test_the_primary_pod_of_a_run_that_has_succeeded_tells_its_metric(stories, kind):
    trial = stories.trials[kind, "succeeded"]
    assert last(trial)[0] == "Succeeded"
    assert observed(trial) == ("0.5", "0.5")


def test_a_run_that_has_failed_is_a_failed_trial_with_the_reason_of_its_kind(stories, kind):
    trial = stories.trials[kind, "failed"]
    assert last(trial)[0] == "Failed"
    assert "it has failed" in trial["status"]["conditions"][-1]["message"]


def test_a_run_that_kueue_holds_back_waits_and_then_runs(stories, kind):
    waiting, shown = stories.waited[kind, "queued"]
    assert waiting["reason"] == "Suspended"
    assert "team-a" in waiting["message"]
    assert shown[0] in ("Created", "Running")
    assert last(stories.trials[kind, "queued"])[0] == "Succeeded"
    assert "attempt" not in stories.trials[kind, "queued"]["status"]


def test_a_run_that_is_stopped_has_its_last_words_read(stories, kind):
    trial = stories.trials[kind, "stopped"]
    assert last(trial)[0] == "Killed"
    assert observed(trial) == ("0.5", "0.7")


def test_a_stopped_run_that_is_to_be_kept_is_ended_by_its_switch_where_its_kind_has_one(stories, kind):
    left = stories.runs[kind, "stopped"]
    if KINDS[kind].kept is None:
        assert left is None
        return
    *path, value = KINDS[kind].kept
    found = left["spec"]
    for step in path:
        found = found[step]
    assert found == value


def test_the_object_of_a_finished_trial_is_kept_only_where_that_is_wanted(stories, kind):
    assert stories.runs[kind, "kept"] is not None
    assert stories.runs[kind, "succeeded"] is stories.runs[kind, "failed"] is None


# The API server fills its defaults into a Job and drops what it does not know.
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"Job"}))
def test_a_template_reaches_its_controller_as_it_was_written(stories, kind):
    (parameter,) = stories.trials[kind, "succeeded"]["spec"]["parameterAssignments"]
    written = json.dumps(KINDS[kind].spec).replace("${trialParameters.rate}", parameter["value"])
    arrived = unmarked(stories.begun[kind, "succeeded"]["spec"])
    assert json.dumps(arrived, sort_keys=True) == json.dumps(json.loads(written), sort_keys=True)


def unmarked(value):
    """The object without what a trial's pod templates are marked with."""
    if isinstance(value, list):
        return [unmarked(item) for item in value]
    if not isinstance(value, dict):
        return value
    found = {key: unmarked(item) for key, item in value.items()}
    for key, is_mark in (("labels", lambda label: MARK in label), ("env", lambda entry: entry["name"][:6] == "KATIB_")):
        held = found.get(key)
        rest = [item for item in held if not is_mark(item)] if held else True
        if not rest:
            del found[key]
    return {key: item for key, item in found.items() if key != "metadata" or item != {}}


def test_a_run_object_is_its_trials_and_says_so(stories, kind):
    trial, run = stories.trials[kind, "kept"]["metadata"], stories.runs[kind, "kept"]["metadata"]
    (owner,) = run["ownerReferences"]
    assert (run["name"], owner["kind"], owner["uid"]) == (trial["name"], "Trial", trial["uid"])
    assert owner["controller"]
    assert run["labels"][TRIAL] == trial["name"]
