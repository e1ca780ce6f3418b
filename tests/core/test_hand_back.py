"""Katib's own controllers go on from what they get back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import katib_rules
from support.json_patch import apply

from katib_py.core.admission import missing_defaults
from katib_py.core.hand_back import obstacles, suggestion_changes

OBJECTIVE = {"type": "maximize", "objectiveMetricName": "acc", "metricStrategies": [{"name": "acc", "value": "max"}]}
STATES = ("Succeeded", "Failed", "Killed", "EarlyStopped", "Running", "Created")


def trial(number, state):
    observation = {"metrics": [{"name": "acc", "min": "0.1", "max": "0.1", "latest": "0.1"}]}
    return {
        "metadata": {"name": f"demo-{number}", "creationTimestamp": f"2026-01-01T00:00:{number:02}Z"},
        "spec": {"objective": OBJECTIVE, "parameterAssignments": [{"name": "lr", "value": str(number)}]},
        "status": {"conditions": [{"type": state, "status": "True"}], "observation": observation},
    }


def entry(number):
    return {"name": f"demo-{number}", "parameterAssignments": [{"name": "lr", "value": str(number)}]}


@st.composite
def worlds(draw):
    """An experiment as our controller leaves it: with a list that lacks its oldest, and assignments made ahead."""
    parallel = draw(st.integers(1, 4))
    states = draw(st.lists(st.sampled_from(STATES[:4]), max_size=20))
    states += draw(st.lists(st.sampled_from(STATES[4:]), max_size=parallel))
    trials = [trial(number, state) for number, state in enumerate(states)]
    ahead, missing = draw(st.integers(0, 9)), draw(st.integers(0, len(trials)))
    entries = [entry(number) for number in range(missing, len(trials) + ahead)]
    status = {"suggestionCount": len(trials) + ahead, "suggestions": entries, "ended": True}
    most = draw(st.none() | st.integers(max(1, len(trials)), 40))
    spec = {"parallelTrialCount": parallel, "objective": OBJECTIVE, "resumePolicy": "Never"}
    spec |= {"maxTrialCount": most} if most is not None else {}
    experiment = {"spec": spec, "status": {"conditions": [{"type": "Running", "status": "True"}]}}
    requests = len(trials) + ahead + draw(st.integers(0, 3))
    return experiment, {"spec": {"requests": requests}, "status": status}, trials


def handed_back(suggestion, trials):
    spec, status = suggestion_changes(suggestion, trials)
    status = {key: value for key, value in {**suggestion["status"], **status}.items() if value is not None}
    return {"spec": {**suggestion["spec"], **spec}, "status": status}


@given(worlds())
def test_katib_goes_on_to_the_end_without_deleting_or_repeating_a_trial(world):
    experiment, suggestion, trials = world
    suggestion = handed_back(suggestion, trials)
    most = experiment["spec"].setdefault("maxTrialCount", len(trials) + 10)
    created = katib_rules.goes_on(experiment, suggestion, trials)
    assert len(created) == max(0, most - len(trials))
    assert not {each["metadata"]["name"] for each in trials} & {*created}


@given(worlds())
def test_every_trial_is_listed_once_with_its_parameters(world):
    _, suggestion, trials = world
    given_back = handed_back(suggestion, trials)
    assert given_back["status"]["suggestions"] == [entry(number) for number in range(len(trials))]
    assert given_back["status"]["suggestionCount"] == given_back["spec"]["requests"] == len(trials)
    assert "ended" not in given_back["status"]


def test_what_is_ahead_of_katib_would_have_cost_trials():
    """Why it is taken away: the rules by which the other tests judge are no walkover."""
    spec = {"parallelTrialCount": 2, "maxTrialCount": 9, "objective": OBJECTIVE, "resumePolicy": "Never"}
    experiment = {"spec": spec, "status": {"conditions": []}}
    trials = [trial(0, "Succeeded"), trial(1, "Running")]
    ahead = {"spec": {"requests": 8}, "status": {"suggestionCount": 8, "suggestions": [entry(n) for n in range(8)]}}
    with pytest.raises(AssertionError, match="deletes"):
        katib_rules.goes_on(experiment, ahead, trials)
    short = {"spec": {"requests": 3}, "status": {"suggestionCount": 3, "suggestions": [entry(2)]}}
    with pytest.raises(AssertionError, match="stands still"):
        katib_rules.goes_on(experiment, short, [trial(0, "Succeeded"), trial(1, "Succeeded"), trial(2, "Succeeded")])


BARE = {
    "apiVersion": "kubeflow.org/v1beta1",
    "kind": "Experiment",
    "metadata": {"name": "demo", "namespace": "team-a"},
    "spec": {
        "maxTrialCount": 2,
        "objective": {"type": "maximize", "objectiveMetricName": "acc"},
        "algorithm": {"algorithmName": "random"},
        "parameters": [{"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.001", "max": "0.1"}}],
        "trialTemplate": {"primaryContainerName": "main", "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"}},
    },
}


def test_what_was_stored_without_defaults_gets_katibs():
    assert katib_rules.refused(BARE)
    written = apply(BARE, missing_defaults(BARE))
    assert not katib_rules.refused(written)
    assert missing_defaults(written) == []


def test_what_katib_does_not_do_is_said():
    spec = {**BARE["spec"], "suspend": True, "stopWhen": None, "maxDurationSeconds": 60}
    spec |= {
        "algorithm": {"algorithmName": "asha"},
        "earlyStopping": {"algorithmName": "patience"},
        "metricsCollectorSpec": {"collector": {"kind": "PrometheusMetric"}},
    }
    assert obstacles({**BARE, "spec": spec}) == [
        "ignores spec.maxDurationSeconds",
        "ignores spec.suspend",
        "has no algorithm asha",
        "has no early stopping patience",
        "has no collector of the kind PrometheusMetric",
    ]
    assert obstacles(BARE) == []
