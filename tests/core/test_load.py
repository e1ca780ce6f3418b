"""From text to an Experiment: any document ends in one that can be run or in every problem with it, never otherwise."""

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from katib_py.core.documents import read_documents
from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import Experiment
from katib_py.core.load import load_experiment
from katib_py.core.parse import Unknown
from katib_py.core.space import parse_parameter
from katib_py.core.template import compile_template
from katib_py.core.validate import Checks, validate_edit


def test_a_sound_document_becomes_an_experiment_with_its_defaults(document):
    loaded = load_experiment(document())
    assert loaded.warnings == ()
    assert loaded.experiment.spec.resume_policy == "Never"


def test_problems_of_type_and_of_meaning_come_together(document):
    wrong = document({"spec.maxTrialCount": "6", "spec.parameters.0.feasibleSpace.max": "0", "metadata.name": "A"})
    with pytest.raises(InvalidInput) as caught:
        load_experiment(wrong)
    assert {problem.path for problem in caught.value.problems} >= {
        "spec.maxTrialCount",
        "spec.parameters[0].feasibleSpace.min",
        "metadata.name",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"spec.parameters.0.name": 5},
        {"spec.parameters.0": 5},
        {"spec.parameters": 5},
        {"spec.trialTemplate.trialParameters.0.reference": 5},
        {"spec.trialTemplate.trialParameters": {}},
        {"spec.trialTemplate.trialSpec": "x"},
        {"spec.objective": 5},
        {"spec.objective.objectiveMetricName": 5},
        {"spec.objective.additionalMetricNames": [5]},
        {"spec.algorithm": 5},
        {"spec.metricsCollectorSpec": "StdOut"},
    ],
)
def test_what_cannot_be_read_is_one_problem_and_not_the_cause_of_others(document, changes):
    with pytest.raises(InvalidInput) as caught:
        load_experiment(document(changes))
    assert len(caught.value.problems) == 1


def test_warnings_do_not_refuse_and_strict_makes_unknown_fields_do_so(document):
    odd = document({"spec.extra": 1})
    assert [item.path for item in load_experiment(odd).warnings] == ["spec.extra"]
    with pytest.raises(InvalidInput):
        load_experiment(odd, unknown=Unknown.REFUSED)


junk = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        [
            "${trialParameters.rate}",
            "${trialSpec.Labels[a]}",
            "../../x",
            "1e999999999",
            "-1",
            "unknown",
            "logNormal",
            "TFJob",
            "a" * 10_000,
            2**70,
            [],
            {},
            [None],
            {"": {}},
            [[[[]]]],
            {"kind": "PrometheusMetric"},
            {"configMapName": "a", "configMapNamespace": "b", "templatePath": "c"},
        ]
    ),
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@st.composite
def mutations(draw, sound):
    """The sound document with up to four places replaced, taken out, doubled or renamed."""
    value = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from([path for path in places(value) if path]))
        holder = value
        for step in path[:-1]:
            holder = holder[step]
        match draw(st.sampled_from(["replace", "remove", "double", "rename"])):
            case "replace":
                holder[path[-1]] = copy.deepcopy(draw(junk))
            case "remove":
                del holder[path[-1]]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[path[-1]]))
            case "rename" if isinstance(holder, dict):
                holder[draw(st.text(max_size=5))] = holder.pop(path[-1])
            case _:
                pass
    return value


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_mutated_experiment_is_sound_or_refused(document, data):
    value = data.draw(mutations(document()))
    checks = Checks(lambda pattern: None, ["random", "tpe"], config_maps={("b", "a"): {"c": "kind: Job"}})
    try:
        experiment = load_experiment(value, checks).experiment
    except InvalidInput as error:
        assert all(problem.message for problem in error.problems)  # noqa: PT017 - either outcome is right
        return
    assert load_experiment(experiment.dump(), checks).experiment == experiment
    assert validate_edit(experiment, experiment) == []
    json.dumps(experiment.dump(), allow_nan=False)
    for parameter in experiment.spec.parameters:
        parse_parameter(parameter)
    assignment = [(parameter.name, "1") for parameter in experiment.spec.parameters]
    compile_template(experiment, checks.config_maps).render("demo-x", "team-a", assignment)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_mutated_text_of_an_experiment_is_sound_or_refused(document, data):
    text = json.dumps(document(), indent=1)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    text = text[:start] + data.draw(st.text('{}[]",:&*!|>-# \n\t\\0ü', max_size=6)) + text[end:]
    try:
        for item in read_documents(text):
            load_experiment(item)
    except InvalidInput as error:
        assert error.problems  # noqa: PT017


@given(st.recursive(junk, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner), max_leaves=10))
def test_anything_at_all_is_sound_or_refused(value):
    for candidate in (value, {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "spec": value}):
        with pytest.raises(InvalidInput):
            load_experiment(candidate)


@pytest.mark.parametrize(
    "changes",
    [
        {f"spec.unknown{number}": 1 for number in range(20_000)},
        {"spec.parameters.1.feasibleSpace.list": [1] * 50_000},
        {"spec.parameters": [{"name": f"p{number}"} for number in range(10_000)]},
        {"spec.trialTemplate.trialParameters": [{"name": f"n{i}", "reference": f"p{i}"} for i in range(10_000)]},
        {"spec.trialTemplate.trialParameters.0.reference": "${trialSpec." * 100_000},
        {"spec.trialTemplate.successCondition": "#(a" * 100_000},
        {"spec.parameters.0.feasibleSpace.min": "1" * 1_000_000},
        {"metadata.name": "a-" * 500_000},
    ],
)
def test_a_document_of_any_size_is_answered_with_a_readable_number_of_problems(document, changes):
    try:
        problems = load_experiment(document(changes)).warnings
    except InvalidInput as error:
        problems = error.problems
    assert 0 < len(problems) <= 202
    assert all(len(str(problem)) < 1000 for problem in problems)


def test_an_empty_experiment_says_what_it_needs():
    with pytest.raises(InvalidInput) as caught:
        load_experiment(Experiment().dump())
    errors = {problem.path for problem in caught.value.problems if problem.severity == "error"}
    assert errors == {"metadata.name", "spec.objective", "spec.parameters", "spec.trialTemplate"}
