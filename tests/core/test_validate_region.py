"""Conditions and constraints of the search space: what is wrong with them, all at once."""

import pytest

from katib_py.core.errors import InvalidInput, RenderError
from katib_py.core.extensions import not_understood
from katib_py.core.load import load_experiment
from katib_py.core.parse import Unknown
from katib_py.core.template import compile_template

CONDITION = {"parent": "opt", "values": ["sgd"]}


@pytest.fixture
def problems(document):
    def found(**spec):
        try:
            load_experiment(document({f"spec.{key}": value for key, value in spec.items()}), unknown=Unknown.REFUSED)
        except InvalidInput as error:
            return [(problem.path, problem.message) for problem in error.problems]
        return []

    return found


def test_sound_ones_are_sound(problems):
    assert not problems(parameterConditions={"lr": CONDITION}, parameterConstraints=["lr * 2 < 1 or opt == 'sgd'"])


@pytest.mark.parametrize(
    ("conditions", "path", "words"),
    [
        ({"lrr": CONDITION}, "lrr", "is for 'lrr', which is no parameter (lr, opt): did you mean lr?"),
        ({"lr": {"values": ["sgd"]}}, "lr.parent", "is missing"),
        ({"lr": {"parent": "optt", "values": ["sgd"]}}, "lr.parent", "did you mean opt?"),
        ({"lr": {"parent": "opt"}}, "lr.values", "is empty"),
        ({"lr": {"parent": "opt", "values": ["adam", "sdg"]}}, "lr.values[1]", "must be a value of opt (sgd, adam)"),
        ({"opt": {"parent": "lr", "values": ["0.01"]}}, "opt.parent", "values cannot be counted"),
        ({"opt": {"parent": "opt", "values": ["sgd"]}}, "opt.parent", "goes round: opt depends on opt"),
        ({"lr": {**CONDITION, "defualt": "1"}}, "lr.defualt", "is not a known field; did you mean default?"),
        ({"lr": {"parent": "opt", "values": [1]}}, "lr.values[0]", "must be text"),
    ],
)
def test_a_condition_that_means_nothing(problems, conditions, path, words):
    [(where, message)] = problems(parameterConditions=conditions)
    assert where == f"spec.parameterConditions.{path}"
    assert words in message


def test_every_constraint_is_read_and_every_problem_told(problems):
    found = problems(parameterConstraints=["lr > ", "lr < 1", "foo > 1"], parameterConditions={"x": {}})
    assert [path for path, _ in found] == [
        "spec.parameterConditions.x",
        "spec.parameterConditions.x.parent",
        "spec.parameterConditions.x.values",
        "spec.parameterConstraints[0]",
        "spec.parameterConstraints[2]",
    ]


def test_there_are_not_too_many(problems):
    [(path, message)] = problems(parameterConstraints=["lr < 1"] * 101)
    assert (path, message) == ("spec.parameterConstraints", "has 101 entries; must be at most 100")


def test_an_inactive_parameter_becomes_its_default_in_the_template(document):
    conditions = {"lr": {**CONDITION, "default": "0.5"}}
    template = compile_template(load_experiment(document({"spec.parameterConditions": conditions})).experiment)
    [container] = template.render("demo-x", "team-a", [("opt", "adam")])["spec"]["template"]["spec"]["containers"]
    assert "--lr=0.5" in container["command"]
    with pytest.raises(RenderError):
        template.render("demo-x", "team-a", [("lr", "0.1")])


def test_without_a_default_it_becomes_nothing(document):
    template = compile_template(load_experiment(document({"spec.parameterConditions": {"lr": CONDITION}})).experiment)
    [container] = template.render("demo-x", "team-a", [("opt", "adam")])["spec"]["template"]["spec"]["containers"]
    assert "--lr=" in container["command"]


def test_what_a_service_does_not_announce_is_named(document):
    spec = load_experiment(document({"spec.parameterConstraints": ["lr < 1"]})).experiment.spec
    [problem] = not_understood(spec, {"delta-history"})
    assert problem.path == "spec.parameterConstraints"
    assert "the algorithm random" in problem.message
    assert not list(not_understood(spec, {"parameter-constraints"}))
