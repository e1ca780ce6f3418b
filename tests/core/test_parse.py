"""Mistakes of type, all at once, in the user's own words."""

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.core.parse import Unknown, nearest, parse_experiment


def problems(document, **options):
    return {problem.path: problem.message for problem in parse_experiment(document, **options).problems}


def test_a_sound_document_has_no_problems_and_is_kept_whole(document):
    parsed = parse_experiment(document())
    assert parsed.problems == ()
    assert parsed.experiment.dump() == document()


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("spec.parameters.0.feasibleSpace.min", 0.01, 'is 0.01; must be text: write "0.01"'),
        ("spec.algorithm.algorithmSettings.0.value", True, 'is true; must be text: write "true"'),
        ("spec.maxTrialCount", "6", "is '6'; must be a whole number: write 6"),
        ("spec.maxTrialCount", 6.0, "is 6.0; must be a whole number: write 6"),
        ("spec.maxTrialCount", "six", "is 'six'; must be a whole number"),
        ("spec.maxTrialCount", 2**40, f"is {2**40}; must be a whole number of at most 32 bits"),
        ("spec.objective.goal", "0.9", "is '0.9'; must be a number: write 0.9"),
        ("spec.objective.goal", float("nan"), "is nan; must be a finite number"),
        ("spec.suspend", "no", "is 'no'; must be true or false"),
        ("spec.parameters", {}, "is a mapping; must be a list"),
        ("spec.trialTemplate", [], "is a list; must be a mapping"),
        ("spec.metricsCollectorSpec", {"source": {"httpGet": {"port": [1]}}}, None),
        ("metadata.labels", {"a": None}, None),
        (
            "spec.objective.type",
            "maximise",
            "is 'maximise'; must be one of minimize, maximize: did you mean 'maximize'?",
        ),
    ],
)
def test_a_value_of_the_wrong_type_is_named_with_what_would_be_right(document, path, value, message):
    found = problems(document({path: value}))
    assert len(found) == 1
    if message is not None:
        steps = path.split(".")
        assert found == {"".join(f"[{step}]" if step.isdigit() else f".{step}" for step in steps)[1:]: message}


def test_every_problem_is_found_in_one_go(document):
    found = problems(document({"spec.maxTrialCount": "6", "spec.parameters.1": 5, "spec.objective.goal": "x"}))
    assert set(found) == {"spec.maxTrialCount", "spec.parameters[1]", "spec.objective.goal"}


def test_what_can_be_read_is_read_although_other_fields_cannot(document):
    parsed = parse_experiment(document({"spec.maxTrialCount": "6", "spec.parameters.0": 5}))
    assert parsed.experiment.spec.max_trial_count is None
    assert parsed.experiment.spec.parameters[1].name == "opt"
    assert parsed.broken == {"spec.maxTrialCount", "spec.parameters[0]"}


def test_null_is_absent(document):
    parsed = parse_experiment(document({"spec.maxTrialCount": None, "spec.nasConfig": None, "status": None}))
    assert parsed.problems == ()
    assert parsed.experiment.spec.max_trial_count is None


def test_unknown_fields_survive_and_are_warned_about_with_the_nearest_known_name(document):
    parsed = parse_experiment(document({"spec.paralelTrialCount": 3, "spec.algorithm.algorithmName2": "x"}))
    assert [(item.path, item.severity) for item in parsed.problems] == [
        ("spec.algorithm.algorithmName2", "warning"),
        ("spec.paralelTrialCount", "warning"),
    ]
    assert "did you mean parallelTrialCount?" in parsed.problems[1].message
    assert parsed.experiment.dump()["spec"]["paralelTrialCount"] == 3


def test_strict_makes_unknown_fields_errors(document):
    parsed = parse_experiment(document({"spec.extra": 1}), Unknown.REFUSED)
    assert [item.severity for item in parsed.problems] == ["error"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("maxTrialsCount", "maxTrialCount"),
        ("max_trial_count", "maxTrialCount"),
        ("maxFailedTrials", "maxFailedTrialCount"),
        ("parallelTrials", "parallelTrialCount"),
        ("maxDurationSecond", "maxDurationSeconds"),
        ("stopwhen", "stopWhen"),
    ],
)
def test_a_misspelt_budget_that_is_absent_is_an_error_where_slips_are(document, slip, meant):
    written = document({f"spec.{meant}": None, f"spec.{slip}": 5})
    (problem,) = parse_experiment(written, Unknown.NO_SLIPS).problems
    assert (problem.path, problem.severity) == (f"spec.{slip}", "error")
    assert problem.message == f"is not a known field, and {meant} is missing; did you mean {meant}?"
    assert [item.severity for item in parse_experiment(written).problems] == ["warning"]


def test_a_misspelt_budget_inside_stop_when_is_an_error_where_slips_are(document):
    written = document({"spec.stopWhen": {"trialsWithoutImprovements": 5}})
    (problem,) = parse_experiment(written, Unknown.NO_SLIPS).problems
    assert (problem.path, problem.severity) == ("spec.stopWhen.trialsWithoutImprovements", "error")


@pytest.mark.parametrize(
    "changes", [{"spec.maxTrialsCount": 5}, {"spec.extra": 1}, {"spec.objectiv": 1}, {"metadata.maxTrialsCount": 5}]
)
def test_other_unknown_fields_stay_warnings_where_slips_are_errors(document, changes):
    problems = parse_experiment(document(changes), Unknown.NO_SLIPS).problems
    assert [item.severity for item in problems] == ["warning"]


@pytest.mark.parametrize("field", ["creationTimestamp", "managedFields", "finalizers", "generateName"])
def test_fields_that_kubernetes_writes_are_known(document, field):
    assert problems(document({f"metadata.{field}": "x"})) == {}


def test_whatever_lies_in_the_trial_spec_is_the_users_own(document):
    assert problems(document({"spec.trialTemplate.trialSpec.anything": {"at": ["all"]}})) == {}


@pytest.mark.parametrize("value", ["text\0", "\ud800", 2**64, float("inf"), b"bytes", {1}])
def test_what_json_cannot_hold_is_refused_wherever_it_stands(document, value):
    assert list(problems(document({"spec.trialTemplate.trialSpec.spec.x": [value]}))) == [
        "spec.trialTemplate.trialSpec.spec.x[0]"
    ]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "is null; an Experiment is a mapping"),
        ([], "is a list"),
        ("text", "is 'text'"),
        ({}, "apiVersion: is missing; must be kubeflow.org/v1beta1"),
        ({"apiVersion": "kubeflow.org/v1", "kind": "Trial"}, "kind: is 'Trial'; must be Experiment"),
    ],
)
def test_what_is_no_experiment_is_refused(value, words):
    with pytest.raises(InvalidInput) as caught:
        parse_experiment(value)
    assert words in str(caught.value)


def test_a_value_that_contains_itself_is_refused(document):
    loop = []
    loop.append(loop)
    with pytest.raises(InvalidInput) as caught:
        parse_experiment(document({"spec.trialTemplate.trialSpec": loop}))
    assert "nested more than" in str(caught.value)


@pytest.mark.parametrize(("word", "meant"), [("Max_trial_count", "maxTrialCount"), ("paramters", "parameters")])
def test_the_nearest_name_is_found_whatever_its_spelling(word, meant):
    assert nearest(word, ["maxTrialCount", "parameters", "objective"]) == meant
