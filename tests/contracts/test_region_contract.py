"""What every search algorithm promises in a space with conditions and constraints."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest
from contracts.test_algorithm_contract import Caller, choice, double_range, experiment, in_process, int_range, trial

from katib_py.wire import api
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
learning_algorithm = pytest.mark.parametrize("algorithm", ["tpe", "multivariate-tpe", "bayesianoptimization"])
SVM = {
    "kernel": choice("rbf", "poly", "linear"),
    "gamma": double_range("0.01", "1", "0.01", distribution=api.LOG_UNIFORM),
    "degree": int_range(2, 5),
    "c": double_range(0, 10, "0.1"),
}
NEEDED = {"rbf": ["gamma"], "poly": ["gamma", "degree"], "linear": []}
SMALL = {"x": int_range(1, 6), "y": int_range(1, 6), "z": choice("on", "off")}


def conditional(message):
    message.spec.parameter_conditions.add(name="gamma", parent="kernel", values=["rbf", "poly"])
    message.spec.parameter_conditions.add(name="degree", parent="kernel", values=["poly"])
    return message


def svm(algorithm, *constraints, **more):
    message = conditional(experiment(algorithm, SVM, **more))
    message.spec.parameter_constraints.extend(constraints)
    return message


def small(algorithm):
    """30 assignments: y is below x, or not there."""
    message = experiment(algorithm, SMALL)
    message.spec.parameter_conditions.add(name="y", parent="z", values=["on"])
    message.spec.parameter_constraints.extend(["y < x", "x >= 2 or z == 'off'"])
    return message


def loss(values):
    """Least, 0, at kernel poly, gamma 0.1, degree 3, c 7."""
    away = (float(values["c"]) / 10 - 0.7) ** 2 + {"rbf": 0.1, "poly": 0.0, "linear": 0.3}[values["kernel"]]
    away += (np.log10(float(values["gamma"])) + 1) ** 2 if "gamma" in values else 0.1
    return away + ((int(values["degree"]) - 3) ** 2 / 10 if "degree" in values else 0.1)


@pytest.fixture
def service():
    return in_process(SuggestionService(ALGORITHMS))


def parameters(caller):
    return [
        {entry.name: entry.value for entry in item.spec.parameter_assignments.assignments} for item in caller.finished
    ]


@every_algorithm
def test_every_assignment_has_its_active_parameters_and_satisfies_the_constraints(algorithm, service):
    caller = Caller(svm(algorithm, "gamma * 10 <= c", "degree < 5 or c > 5"), service)
    caller.run(60, 4, loss)
    found = parameters(caller)
    assert len(found) == 60
    for values in found:
        assert [name for name in values if name in SVM] == ["kernel", *NEEDED[values["kernel"]], "c"]
        assert "gamma" not in values or Decimal(values["gamma"]) * 10 <= Decimal(values["c"])
        assert values.get("degree") != "5" or float(values["c"]) > 5


@every_algorithm
def test_equal_assignments_are_not_proposed_twice_while_others_remain(algorithm, service):
    caller = Caller(small(algorithm), service)
    caller.run(21, 3, lambda values: float(values["x"]))
    # A trial that continues another has its assignment on purpose.
    continuing = [any(key.endswith("/parent") for key in item.spec.labels) for item in caller.finished]
    found = [values for values, continues in zip(parameters(caller), continuing, strict=True) if not continues]
    assert len({tuple((name, values.get(name)) for name in SMALL) for values in found}) == len(found)
    assert sum(values["z"] == "off" for values in found) == 6


def test_a_grid_ends_with_the_last_allowed_assignment(service):
    assert [len(Caller(small("grid"), service).ask(count)) for count in (5, 21, 30)] == [5, 21, 21]


@every_algorithm
def test_a_full_request_gets_the_answer_of_the_delta(algorithm, service):
    caller = Caller(svm(algorithm, "gamma * 10 <= c"), service)
    caller.run(20, 4, loss)
    delta, full = caller.request(4), caller.request(4)
    full.ClearField("history")
    assert service(full) == service(delta)


@every_algorithm
def test_trials_from_before_the_constraints_are_taken(algorithm, service):
    caller = Caller(svm(algorithm, "gamma * 10 <= c"), service)
    odd = [{"kernel": "rbf", "gamma": "1", "c": "0"}, {"kernel": "linear", "gamma": "1", "c": "1"}, {"kernel": "poly"}]
    caller.finished = [trial(index, values, index) for index, values in enumerate(odd * 6)]
    assert len(caller.ask(4)) == 4


@learning_algorithm
def test_it_learns_among_conditions(algorithm, service):
    def best(name, seed):
        return min(Caller(svm(name, "gamma * 10 <= c", uid=f"uid-{seed}"), service).run(80, 4, loss))

    learned, at_random = ([best(name, seed) for seed in range(8)] for name in (algorithm, "random"))
    assert np.median(learned) < np.median(at_random) / 3


def validate(message):
    request = api.ValidateAlgorithmSettingsRequest(experiment=message)
    return SuggestionService(ALGORITHMS).ValidateAlgorithmSettings(request, Refusing())


class Refused(Exception):
    """The call was aborted."""


class Refusing:
    def abort(self, code, details):
        raise Refused(details)


@every_algorithm
def test_it_says_that_it_understands_them(algorithm):
    assert {"parameter-conditions", "parameter-constraints"} <= set(validate(svm(algorithm)).features)


@every_algorithm
@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (["c > 10"], "satisfied by no"),
        (["c > 5 and"], "spec.parameterConstraints[0]"),
        (["c > 2", "c < 1"], "satisfied by no"),
    ],
)
def test_what_leaves_nothing_or_means_nothing_is_refused(algorithm, constraints, words):
    with pytest.raises(Refused, match=words.replace("[", r"\[")):
        validate(svm(algorithm, *constraints))


@every_algorithm
def test_a_call_without_validation_ends_instead_of_hanging(algorithm, service):
    caller = Caller(svm(algorithm, "c > 10"), service)
    assert caller.ask(2) == []
