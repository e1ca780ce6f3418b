"""What becomes of an Experiment that somebody wants stored."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_patch import apply

from katib_py.core.admission import review
from katib_py.core.defaults import default
from katib_py.core.early_stopping import STOPPERS
from katib_py.core.experiment import Experiment
from katib_py.core.validate import NO_CHECKS, Checks

CHECKS = Checks(algorithms={"random", "tpe"}, early_stopping=STOPPERS)
ENDED = {"trials": 6, "conditions": [{"type": "Succeeded", "status": "True", "reason": "ExperimentGoalReached"}]}


def paths(verdict):
    return [problem.path for problem in verdict.errors]


def stored(new, old=None, checks=CHECKS):
    """What the API server stores after the patch."""
    verdict = review(new, old, checks)
    assert not verdict.errors
    return apply(new, verdict.patch)


def test_the_defaults_are_written_out_and_nothing_else_changes(document):
    new = document({"spec.algorithm.note": "kept", "spec.trialTemplate.trialSpec.metadata": {"labels": {"a": "b"}}})
    patch = review(new, None, CHECKS).patch
    assert sorted(operation["path"] for operation in patch) == [
        "/spec/metricsCollectorSpec",
        "/spec/objective/metricStrategies",
        "/spec/parameters/1/feasibleSpace/distribution",
        "/spec/resumePolicy",
        "/spec/trialTemplate/failureCondition",
        "/spec/trialTemplate/successCondition",
    ]
    assert {operation["op"] for operation in patch} == {"add"}
    assert review(apply(new, patch), None, CHECKS).patch == []


@pytest.mark.parametrize(
    ("given_", "kept"),
    [
        ({"collector": {"kind": "File"}, "source": {"filter": None}}, {"filter": None}),
        ({"collector": {"kind": "File"}, "source": {"fileSystemPath": {"path": "/a/b", "note": 1}}}, {}),
        ({"collector": {"kind": "PrometheusMetric"}, "source": {"httpGet": {"httpHeaders": []}}}, {}),
    ],
)
def test_a_default_joins_what_stands_in_its_place(document, given_, kept):
    result = stored(document({"spec.metricsCollectorSpec": given_}))["spec"]["metricsCollectorSpec"]
    assert kept.items() <= result["source"].items()
    assert Experiment.model_validate(document({"spec.metricsCollectorSpec": result})).spec.metrics_collector_spec


def test_null_and_empty_fields_get_their_default(document):
    result = stored(document({"spec.resumePolicy": "", "spec.parallelTrialCount": None, "spec.maxTrialCount": 2}))
    assert (result["spec"]["resumePolicy"], result["spec"]["parallelTrialCount"]) == ("Never", 2)


def test_every_problem_is_in_one_message_and_nothing_is_patched(document):
    verdict = review(
        document({"spec.maxTrialCount": "6", "spec.parameters.0.feasibleSpace.min": "x", "spec.objective.type": "up"}),
        None,
        CHECKS,
    )
    assert set(paths(verdict)) == {
        "spec.maxTrialCount",
        "spec.parameters[0].feasibleSpace.min",
        "spec.objective.type",
    }
    assert verdict.message.splitlines()[0] == "3 things stand in the way:"
    assert not verdict.patch


def test_an_algorithm_that_nobody_serves_is_refused_and_an_unknown_field_is_a_warning(document):
    verdict = review(document({"spec.algorithm.algorithmName": "rnadom", "spec.goal": 1}), None, CHECKS)
    assert paths(verdict) == ["spec.algorithm.algorithmName"]
    assert verdict.message == str(verdict.errors[0])
    assert [warning.path for warning in verdict.warnings] == ["spec.goal"]


def test_the_official_clients_categorical_parameter_is_repaired(document):
    new = document({"spec.parameters.1.feasibleSpace": {"distribution": ["a", 1, True, 0.5]}})
    space = stored(new)["spec"]["parameters"][1]["feasibleSpace"]
    assert space == {"list": ["a", "1", "True", "0.5"], "distribution": "uniform"}


@pytest.mark.parametrize(
    "space",
    [
        {"distribution": ["a"], "list": ["b"]},
        {"distribution": [["a"]]},
        {"distribution": [None]},
        {"distribution": {"a": "b"}},
    ],
)
def test_what_is_not_the_official_clients_slip_is_refused(document, space):
    assert paths(review(document({"spec.parameters.1.feasibleSpace": space}), None, CHECKS))


def test_a_generated_name_is_checked_as_it_will_be(document):
    assert not review(document({"metadata.name": ..., "metadata.generateName": "demo-"}), None, CHECKS).errors
    long = review(document({"metadata.name": ..., "metadata.generateName": "d" * 36}), None, CHECKS)
    assert paths(long) == ["metadata.name"]
    assert paths(review(document({"metadata.name": ...}), None, CHECKS)) == ["metadata.name"]


def test_a_budget_may_be_edited_and_little_else(document):
    old = stored(document())
    new = copy.deepcopy(old)
    new["spec"]["maxTrialCount"] = 9
    assert stored(new, old) == new
    new["spec"]["parallelTrialCount"] = 10
    assert paths(review(new, old, CHECKS)) == ["spec.parallelTrialCount"]
    new = copy.deepcopy(old)
    new["spec"]["objective"]["goal"] = 0.5
    assert paths(review(new, old, CHECKS)) == ["spec.objective.goal"]


def test_what_katib_stored_stays_editable_and_only_what_the_edit_makes_wrong_is_said(document):
    """Without defaults, with an algorithm that is not served, with a range that is none."""
    broken = {"spec.parameters.0.feasibleSpace": {"min": "5", "max": "1"}, "spec.algorithm.algorithmName": "gone"}
    old = document(broken)
    assert not review(document({**broken, "spec.maxTrialCount": 9}), old, CHECKS).errors
    worse = review(document({**broken, "spec.maxTrialCount": -1}), old, CHECKS)
    assert set(paths(worse)) == {"spec.maxTrialCount"}


@pytest.mark.parametrize("changes", [{"metadata.finalizers": []}, {"metadata.labels": {"a": "b"}}, {"status": {}}])
def test_an_edit_of_anything_but_the_spec_is_never_refused(document, changes):
    broken = {"spec.parameters": 5, "spec.objective": ..., "status": ENDED, "metadata.name": "A_b"}
    verdict = review(document({**broken, **changes}), document(broken), CHECKS)
    assert not verdict.errors
    assert not verdict.patch


def test_an_object_on_its_way_out_is_never_refused(document):
    leaving = document({"metadata.deletionTimestamp": "2026-01-01T00:00:00Z", "spec.parameters": []})
    assert not review(leaving, document(), CHECKS).errors


def test_an_ended_experiment_does_not_go_on_after_its_goal(document):
    old = document({"status": ENDED})
    assert paths(review(document({"spec.maxTrialCount": 9, "status": ENDED}), old, CHECKS)) == ["spec"]
    assert not review(document({"spec.suspend": True, "status": ENDED}), old, CHECKS).errors


@pytest.mark.parametrize("new", [None, [], "x", {"kind": "Experiment"}, {"spec": {}}])
def test_what_is_no_experiment_is_refused_in_words(new):
    assert review(new, None, NO_CHECKS).message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "0.5", "uniform", "File"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "kind", "list"]), inner),
    max_leaves=6,
)
PLACES = [
    "spec.parameters.0.feasibleSpace",
    "spec.parameters.1.feasibleSpace",
    "spec.objective.metricStrategies",
    "spec.metricsCollectorSpec",
    "spec.trialTemplate.primaryPodLabels",
    "spec.parallelTrialCount",
    "spec.extra",
]


@given(st.dictionaries(st.sampled_from(PLACES), JSON, max_size=3))
def test_a_patched_object_reads_as_the_defaulted_one_and_keeps_every_field(document, changes):
    new = document(changes)
    verdict = review(new, None, NO_CHECKS)
    if verdict.errors:
        return
    patched = apply(new, verdict.patch)
    assert keys(new) <= keys(patched)
    read = Experiment.model_validate(patched)
    assert default(read) == read


def keys(value, path=""):
    if isinstance(value, dict):
        return {path}.union(*(keys(item, f"{path}.{key}") for key, item in value.items()))
    if isinstance(value, list):
        return {path}.union(*(keys(item, f"{path}[{index}]") for index, item in enumerate(value)))
    return {path}
