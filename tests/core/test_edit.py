"""What of a stored Experiment may be changed (api.md §8.3)."""

import pytest

from katib_py.core.experiment import Experiment
from katib_py.core.validate import validate_edit


@pytest.fixture
def edit(document):
    """The paths of what is wrong with these changes of the sound experiment, which has this status."""

    def paths(changes, status=None, policy="LongRunning", old=None):
        base = {"spec.resumePolicy": policy}
        old = Experiment.model_validate(document({**base, **(old or {}), "status": status or {}}))
        new = Experiment.model_validate(document({**base, **changes}))
        return [problem.path for problem in validate_edit(old, new)]

    return paths


def ended(reason, kind="Succeeded", trials=6):
    return {"trials": trials, "conditions": [{"type": kind, "status": "True", "reason": reason}]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"spec.maxTrialCount": 9, "spec.parallelTrialCount": 3, "spec.maxFailedTrialCount": 2},
        {"spec.suspend": True},
        {"spec.maxDurationSeconds": 60},
        {"spec.stopWhen": {"trialsWithoutImprovement": 5}},
        {"metadata.labels": {"a": "b"}},
    ],
)
def test_budgets_suspension_and_metadata_can_be_changed(edit, changes):
    assert edit(changes, {"trials": 3}) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"spec.objective.goal": 0.5}, "spec.objective.goal"),
        ({"spec.parameters": []}, "spec.parameters"),
        ({"spec.algorithm.algorithmName": "tpe"}, "spec.algorithm.algorithmName"),
        ({"spec.resumePolicy": "Never"}, "spec.resumePolicy"),
        ({"spec.extra": 1}, "spec.extra"),
    ],
)
def test_everything_else_stays(edit, changes, path):
    assert edit(changes) == [path]


def test_an_experiment_stored_before_a_default_existed_is_not_changed_by_it(document):
    old = Experiment.model_validate(document({"spec.parameters.0.feasibleSpace.distribution": ...}))
    new = Experiment.model_validate(document({"spec.parameters.0.feasibleSpace.distribution": "uniform"}))
    assert validate_edit(old, new) == []


def test_a_quantity_may_be_a_number_or_its_text(edit):
    def collecting(cpu):
        container = {"name": "collector", "image": "c:1", "resources": {"limits": {"cpu": cpu}}}
        return {"spec.metricsCollectorSpec": {"collector": {"kind": "Custom", "customCollector": container}}}

    path = "spec.metricsCollectorSpec.collector.customCollector.resources.limits.cpu"
    assert edit(collecting("1"), old=collecting(1)) == []
    assert edit(collecting("2"), old=collecting(1)) == [path]


def test_more_trials_must_be_more_than_there_are(edit):
    assert edit({"spec.maxTrialCount": 4}, {"trials": 4}) == ["spec.maxTrialCount"]
    assert edit({"spec.maxTrialCount": 5}, {"trials": 4}) == []


def test_parallelism_can_be_changed_when_all_trials_exist(edit):
    assert edit({"spec.parallelTrialCount": 3}, {"trials": 6}) == []


@pytest.mark.parametrize(
    "reason", ["ExperimentMaxTrialsReached", "ExperimentMaxDurationReached", "ExperimentNoImprovement"]
)
def test_what_ended_on_its_budget_goes_on_with_more(edit, reason):
    assert edit({"spec.maxTrialCount": 9}, ended(reason)) == []
    assert edit({"spec.maxTrialCount": 9}, ended(reason), policy="Never") == ["spec.resumePolicy"]


@pytest.mark.parametrize(
    "status", [ended("ExperimentGoalReached"), ended("ExperimentFailed", "Failed"), ended("", "Failed")]
)
def test_what_reached_its_goal_or_failed_does_not_go_on(edit, status):
    assert edit({"spec.maxTrialCount": 9}, status) == ["spec"]


def test_an_ended_experiment_can_be_suspended_and_labelled(edit):
    changes = {"spec.suspend": True, "metadata.labels": {"a": "b"}}
    assert edit(changes, ended("ExperimentGoalReached"), policy="Never") == []


@pytest.mark.parametrize("status", [{"trials": "x"}, {"conditions": 5}, {"conditions": [5, {"type": "Failed"}]}])
def test_a_status_that_makes_no_sense_stops_nobody(edit, status):
    assert edit({"spec.maxTrialCount": 9}, status) == []


def test_repeats_of_the_best_are_no_trials_of_the_budget(document):
    begun = {
        "status": {"trials": 12, "trialsRepeating": 8},
        "spec.confirm": {"top": 2},
        "spec.resumePolicy": "LongRunning",
    }
    old = Experiment.model_validate(document(begun))
    for most, sound in ((8, True), (4, False)):
        new = Experiment.model_validate(document({**begun, "spec.maxTrialCount": most}))
        assert (validate_edit(old, new) == []) == sound
