"""What search algorithms promise about several objectives, outcome constraints, and what a search begins with."""

from __future__ import annotations

import numpy as np
import pytest
from contracts.test_algorithm_contract import (
    BOWL,
    REPEATING,
    SPENDING,
    TWELVE_POINTS,
    Caller,
    bowl,
    check_values,
    double_range,
    experiment,
    in_process,
    trial,
)

from katib_py.wire import api
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService

every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
# A trial that continues another has its values to the letter, so all are written one way.
REWRITING = ("pbt",)
whole_algorithm = pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in SPENDING])
spending_algorithm = pytest.mark.parametrize("algorithm", SPENDING)
JUDGING = ("tpe", "multivariate-tpe", "nsga2", "auto")
judging_algorithm = pytest.mark.parametrize("algorithm", JUDGING)
warm_algorithm = pytest.mark.parametrize("algorithm", [*JUDGING, "bayesianoptimization"])
FIVE = {f"x{index}": double_range(0, 1) for index in range(5)}


@pytest.fixture
def service():
    return in_process(SuggestionService(ALGORITHMS))


def features(algorithm):
    request = api.ValidateAlgorithmSettingsRequest(experiment=experiment(algorithm, TWELVE_POINTS))
    return set(SuggestionService(ALGORITHMS).ValidateAlgorithmSettings(request, None).features)


def zdt1(values):
    """Two objectives to be minimised; the front is where all but the first are 0 (Zitzler et al. 2000)."""
    first, *others = (float(values[name]) for name in FIVE)
    slope = 1 + 9 * np.mean(others)
    return {"f1": first, "f2": slope * (1 - np.sqrt(first / slope))}


class Judged(Caller):
    """A controller whose trials measure several metrics."""

    def search(self, budget, measure):
        found = []
        while len(found) < budget:
            for values in self.ask(4):
                found.append((values, measure(values)))
                message = trial(len(self.finished), values)
                for name, value in found[-1][1].items():
                    message.status.observation.metrics.add(name=name, value=repr(float(value)))
                self.finished.append(message)
        return found


def two_objectives(algorithm, uid="uid"):
    message = experiment(algorithm, FIVE, uid)
    message.spec.objective.objective_metric_name = "f1"
    message.spec.objective.additional_metric_names.append("f2")
    for name in ("f1", "f2"):
        message.spec.objectives.add(type=api.MINIMIZE, objective_metric_name=name)
    return message


def volume(points):
    """What the points dominate below (1.1, 11); 11.77 at most."""
    area, lowest = 0.0, 11.0
    for first, second in sorted((point["f1"], point["f2"]) for point in points):
        if first < 1.1 and second < lowest:
            area += (1.1 - first) * (lowest - second)
            lowest = second
    return area


@judging_algorithm
def test_it_finds_the_front(algorithm, service):
    def found(name, seed):
        return volume([point for _, point in Judged(two_objectives(name, f"u{seed}"), service).search(160, zdt1)])

    learned, at_random = ([found(name, seed) for seed in range(3)] for name in (algorithm, "random"))
    assert np.median(learned) > np.median(at_random) + 0.8


@judging_algorithm
def test_it_maximizes_an_objective_of_several(algorithm, service):
    message = two_objectives(algorithm)
    message.spec.objectives[1].type = api.MAXIMIZE
    flipped = lambda values: {"f1": zdt1(values)["f1"], "f2": -zdt1(values)["f2"]}  # noqa: E731
    turned = Judged(message, service).search(60, flipped)
    assert turned[-1][0] == Judged(two_objectives(algorithm), service).search(60, zdt1)[-1][0]


def constrained(algorithm, uid="uid"):
    """The bowl's floor breaks the constraint: `load` must be at most 1."""
    message = experiment(algorithm, BOWL, uid)
    message.spec.objective.additional_metric_names.append("load")
    message.spec.outcome_constraints.add(metric_name="load", at_most=1.0)
    return message


def loaded(values):
    return {"loss": bowl(values), "load": 0.5 + float(values["x"])}


@pytest.mark.parametrize("algorithm", [*JUDGING, "cmaes"])
def test_it_finds_the_best_within_an_outcome_constraint(algorithm, service):
    def best(name, seed):
        found = Judged(constrained(name, f"u{seed}"), service).search(100, loaded)
        return min(point["loss"] for _, point in found if point["load"] <= 1)

    at_its_edge = (0.5 - 0.85) ** 2
    learned, at_random = ([best(name, seed) - at_its_edge for seed in range(5)] for name in (algorithm, "random"))
    assert np.median(learned) < np.median(at_random) * 0.7


@judging_algorithm
def test_trials_without_a_value_of_some_metric_are_taken(algorithm, service):
    caller = Judged(two_objectives(algorithm), service)
    odd = [
        {"f1": 1.0},
        {"f2": 1.0},
        {"f1": np.nan, "f2": 1.0},
        {"f1": np.inf, "f2": np.inf},
        {"f1": 0.5, "f2": -np.inf},
    ]
    for index in range(60):
        values = {name: str(round((index * place) % 7 / 7, 3)) for place, name in enumerate(FIVE, 1)}
        message = trial(index, values)
        for name, value in odd[index % 5].items():
            message.status.observation.metrics.add(name=name, value=repr(value))
        caller.finished.append(message)
    caller.asked = 60
    for values in caller.ask(4):
        check_values(FIVE, values)


@judging_algorithm
def test_a_full_request_gets_the_answer_of_the_delta(algorithm, service):
    caller = Judged(two_objectives(algorithm), service)
    caller.message.spec.outcome_constraints.add(metric_name="f2", at_most=3.0)
    caller.search(60, zdt1)
    delta, full = caller.request(4), caller.request(4)
    full.ClearField("history")
    assert service(full) == service(delta)


@pytest.mark.parametrize("algorithm", ["random", "sobol", "grid", *JUDGING])
def test_it_says_what_it_takes_into_account(algorithm):
    assert {"objectives", "outcome-constraints", "initial-assignments"} <= features(algorithm)
    assert ("warm-start" in features(algorithm)) == (algorithm in JUDGING)


def test_an_algorithm_that_minimises_one_number_does_not_claim_more():
    assert not {"objectives", "warm-start"} & features("cmaes")
    assert {"objectives", "warm-start"} & features("bayesianoptimization") == {"warm-start"}


@every_algorithm
def test_outcome_constraints_are_known_to_all(algorithm):
    assert "outcome-constraints" in features(algorithm)


FIRST = [{"x": "3", "y": "d"}, {"x": "1", "y": "b"}, {"x": "2", "y": "a"}]


def begun(algorithm, space=TWELVE_POINTS, first=FIRST):
    message = experiment(algorithm, space)
    for values in first:
        entry = message.spec.initial_assignments.add()
        for name, value in values.items():
            entry.assignments.add(name=name, value=value)
    return message


@whole_algorithm
def test_initial_assignments_come_first_and_once(algorithm, service):
    caller, found = Caller(begun(algorithm), service), []
    for _ in range(6):
        batch = caller.ask(2)
        caller.finished += [trial(len(found) + place, values, place) for place, values in enumerate(batch)]
        found += batch
    assert found[:3] == FIRST
    assert len({tuple(values.items()) for values in found}) == 12


@spending_algorithm
def test_initial_assignments_are_the_first_configurations(algorithm, service):
    caller, found = Caller(begun(algorithm, first=[{**values, "epochs": "27"} for values in FIRST]), service), []
    for _ in range(6):
        batch = caller.ask(2)
        caller.finished += [trial(len(found) + place, values, place) for place, values in enumerate(batch)]
        found += batch
    configurations = [{"x": values["x"], "y": values["y"]} for values in found]
    assert list({tuple(values.items()): values for values in configurations}.values())[:3] == FIRST


def numbers(found):
    return [{name: float(value) for name, value in values.items()} for values in found]


@pytest.mark.parametrize("algorithm", [name for name in REPEATING if name not in SPENDING])
def test_initial_assignments_are_tried_as_they_were_written(algorithm, service):
    first = [{"rate": "1e-3", "x": "0.10"}, {"x": "0.3", "rate": "0.02"}]
    space = {"rate": double_range("0.0001", "0.1", distribution=api.LOG_UNIFORM), "x": double_range(0, 1)}
    caller = Caller(begun(algorithm, space, first), service)
    found = []
    for index in range(4):
        [values] = caller.ask(1)
        caller.finished.append(trial(index, values, index))
        found.append(values)
    assert found[:2] == first or (algorithm in REWRITING and numbers(found[:2]) == numbers(first))
    assert found[2] not in first
    assert found[3] not in first


def prior(index, values, loss):
    message = trial(1000 + index, values, loss)
    message.prior = True
    return message


@warm_algorithm
def test_it_learns_from_trials_of_another_experiment(algorithm, service):
    def first(priors):
        caller = Caller(experiment(algorithm, BOWL), service)
        caller.finished = priors
        return np.mean([bowl(values) for values in caller.ask(7)])

    earlier = Caller(experiment("random", BOWL, "another"), service).ask(120)
    assert first([prior(index, values, bowl(values)) for index, values in enumerate(earlier)]) < first([]) / 2


@warm_algorithm
def test_trials_of_another_experiment_are_none_of_this_one(algorithm, service):
    caller = Caller(experiment(algorithm, TWELVE_POINTS), service)
    every = [{"x": x, "y": y} for x in "123" for y in "abcd"]
    caller.finished = [prior(index, values, index) for index, values in enumerate(every)]
    caller.finished += [trial(index, values, 1) for index, values in enumerate(every[:10])]
    caller.asked = 10
    assert {tuple(values.items()) for values in caller.ask(2)} == {tuple(values.items()) for values in every[10:]}


def test_katibs_controller_is_not_thought_to_have_asked_for_them(service):
    request = api.GetSuggestionsRequest(experiment=experiment("random", BOWL), current_request_number=2)
    alone = service(request)
    request.trials.extend(prior(index, {"x": "0.5", "y": "7", "z": "p"}, 1) for index in range(3))
    assert service(request) == alone
