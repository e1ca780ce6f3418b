"""What a search begins with: assignments that are tried first, and trials of earlier experiments."""

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.core.load import load_experiment
from katib_py.core.objective import Metric
from katib_py.core.parse import Unknown
from katib_py.core.trial import Assignment, TrialRecord, TrialState
from katib_py.core.warm_start import fitting

CONDITION = {"lr": {"parent": "opt", "values": ["sgd"]}}


@pytest.fixture
def problems(document):
    def found(**fields):
        try:
            load_experiment(document({f"spec.{key}": value for key, value in fields.items()}), unknown=Unknown.REFUSED)
        except InvalidInput as error:
            return [(problem.path.removeprefix("spec."), problem.message) for problem in error.problems]
        return []

    return found


def test_sound_ones_are_sound(problems):
    first = [{"lr": "0.1", "opt": "sgd"}, {"lr": "1e-3", "opt": "adam"}]
    assert not problems(initialAssignments=first, parameterConstraints=["lr <= 0.1"], warmStart=["earlier", "another"])
    assert not problems(initialAssignments=[{"opt": "adam"}], parameterConditions=CONDITION)


@pytest.mark.parametrize(
    ("assignment", "path", "words"),
    [
        ({"opt": "sgd"}, ".lr", "is missing; must be from 0.001 to 0.1"),
        ({"lr": "0.2", "opt": "sgd"}, ".lr", "is '0.2'; must be from 0.001 to 0.1"),
        ({"lr": "x", "opt": "sgd"}, ".lr", "is 'x'; must be from"),
        ({"lr": "0.1", "opt": "sdg"}, ".opt", "is 'sdg'; must be one of sgd, adam"),
        ({"lr": "0.1", "opt": "sgd", "optt": "sgd"}, ".optt", "did you mean opt?"),
        ({"lr": 0.1, "opt": "sgd"}, ".lr", 'must be text: write "0.1"'),
        ({"lr": "0.05", "opt": "sgd"}, "", "does not satisfy \"lr < 0.04 or opt == 'adam'\""),
    ],
)
def test_an_assignment_outside_the_space_is_refused(problems, assignment, path, words):
    found = dict(problems(initialAssignments=[assignment], parameterConstraints=["lr < 0.04 or opt == 'adam'"]))
    assert words in found[f"initialAssignments[0]{path}"]


def test_an_assignment_has_its_active_parameters_and_no_others(problems):
    found = problems(initialAssignments=[{"lr": "0.1", "opt": "adam"}, {"opt": "sgd"}], parameterConditions=CONDITION)
    assert [path for path, _ in found] == ["initialAssignments[0].lr", "initialAssignments[1].lr"]
    assert "is not active: opt must be one of sgd; leave it out" in found[0][1]


def test_the_same_assignment_twice_is_refused(problems):
    [(path, message)] = problems(initialAssignments=[{"lr": "0.1", "opt": "sgd"}, {"lr": "1e-1", "opt": "sgd"}])
    assert (path, message) == ("initialAssignments[1]", "is the same as spec.initialAssignments[0]")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["demo"], "is this experiment itself"),
        ([""], "is empty"),
        (["a", "a"], "stands above already"),
        ([f"e{index}" for index in range(21)], "must be at most 20"),
    ],
)
def test_a_warm_start_from_nothing_is_refused(problems, names, words):
    [(_, message)] = problems(warmStart=names)
    assert words in message


def trial(value="0.9", state=TrialState.SUCCEEDED, metric="acc", **parameters):
    observation = (Metric(metric, value, value, value),)
    return TrialRecord(
        Assignment("t", 0, tuple(parameters.items()), (("bracket", "1"),)), 0.0, state, observation=observation
    )


@pytest.fixture
def fit(document):
    def fit(*trials, **fields):
        spec = load_experiment(document({f"spec.{key}": value for key, value in fields.items()})).experiment.spec
        return fitting(spec, trials)

    return fit


def test_trials_fit_by_the_names_and_ranges_of_their_parameters(fit):
    good = trial(lr="0.01", opt="sgd", more="7")
    found = fit(
        good,
        trial(lr="0.5", opt="sgd"),
        trial(lr="0.01", opt="rmsprop"),
        trial(lr="0.01"),
        trial("nan", lr="0.01", opt="sgd"),
        trial(lr="0.01", opt="sgd", metric="loss"),
        trial(lr="0.01", opt="sgd", state=TrialState.FAILED),
    )
    [kept] = found.trials
    assert kept.assignment.parameters == (("lr", "0.01"), ("opt", "sgd"))
    assert kept.assignment.labels == ()
    assert found.others == 6
    assert "2 because they did not measure acc" in found.reasons


def test_an_inactive_parameter_need_not_be_there(fit):
    found = fit(trial(opt="adam"), trial(opt="adam", lr="99"), trial(opt="sgd"), parameterConditions=CONDITION)
    assert [item.assignment.parameters for item in found.trials] == [(("opt", "adam"),)] * 2
    assert found.reasons == "1 because they have no parameter lr"
