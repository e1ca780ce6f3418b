"""What every search algorithm promises, asked of each in the registry."""

from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import grpc
import numpy as np
import pytest

from katib_py.wire import api, history, rpc
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService

# How many trials each is given to beat 200 random ones.
LEARNING = {"tpe": 200, "multivariate-tpe": 200, "cmaes": 200, "bayesianoptimization": 48, "auto": 48}
REPEATING = tuple(name for name in ALGORITHMS if name != "grid")
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
learning_algorithm = pytest.mark.parametrize("algorithm", LEARNING)


def int_range(low, high, step="", **more):
    return api.INT, {"min": str(low), "max": str(high), "step": step, **more}


def double_range(low, high, step="", **more):
    return api.DOUBLE, {"min": str(low), "max": str(high), "step": step, **more}


def choice(*values):
    return api.CATEGORICAL, {"list": values}


def discrete(*values):
    return api.DISCRETE, {"list": values}


MIXED = {
    "units": int_range(3, 11, "4"),
    "trees": int_range(1, 1000, distribution=api.LOG_UNIFORM),
    "dropout": double_range("0.05", 1, "0.3"),
    "rate": double_range("0.0001", "0.1", "0.0001", distribution=api.LOG_UNIFORM),
    "momentum": double_range("0.5", "0.9", "0.01", distribution=api.NORMAL),
    "decay": double_range("1e-4", "1", "1e-4", distribution=api.LOG_NORMAL),
    "kernel": choice("rbf", "poly", "linear"),
    "batch": discrete("64", "16", "32.0"),
    "fixed": int_range(7, 7),
    "still": double_range("0.5", "0.5", "0.1"),
}
CONTINUOUS = {
    "rate": double_range("0.0001", "0.1", distribution=api.LOG_UNIFORM),
    "momentum": double_range("0.5", "0.9", distribution=api.NORMAL),
    "decay": double_range("0.01", "0.05", distribution=api.LOG_NORMAL),
    "dropout": double_range("-0.25", "0.7"),
}
# Searches that must be told which parameter says what a trial spends; spaces get that parameter for them.
SPENDING = {name: {"r_l": 27, "resource_name": "epochs"} for name in ("hyperband", "asha", "bohb")}
TWELVE_POINTS = {"x": int_range(1, 3), "y": choice("a", "b", "c", "d")}
BOWL = {"x": double_range(0, 1, "0.002"), "y": int_range(0, 500), "z": choice("p", "q", "r")}


def bowl(values):
    """Least, 0, off-centre."""
    away = (float(values["x"]) - 0.85) ** 2 + (int(values["y"]) / 500 - 0.2) ** 2
    return away + {"p": 0.5, "q": 0.0, "r": 0.2}[values["z"]]


def searched(algorithm, space):
    """The space as the algorithm can search it."""
    return {**space, "epochs": int_range(1, 27)} if algorithm in SPENDING else space


def experiment(algorithm, space, uid="uid", **settings):
    message = api.Experiment(name="contract", uid=uid)
    for name, (kind, feasible) in searched(algorithm, space).items():
        message.spec.parameter_specs.parameters.add(name=name, parameter_type=kind, feasible_space=feasible)
    message.spec.objective.objective_metric_name = "loss"
    message.spec.objective.type = api.MINIMIZE
    message.spec.algorithm.algorithm_name = algorithm
    for name, value in {**SPENDING.get(algorithm, {}), **settings}.items():
        message.spec.algorithm.algorithm_settings.add(name=name, value=str(value))
    return message


def trial(index, values, loss=None, condition=api.TrialStatus.SUCCEEDED):
    message = api.Trial(name=f"trial-{index:05d}")
    for name, value in values.items():
        message.spec.parameter_assignments.assignments.add(name=name, value=value)
    message.spec.labels.update(getattr(values, "labels", {}))
    message.status.condition = condition
    message.status.start_time = f"2026-01-01T{index // 3600:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z"
    if loss is not None:
        message.status.observation.metrics.add(name="loss", value=str(loss))
    return message


def in_process(service):
    """A call of the servicer, through the bytes of the request."""
    return lambda request: service.GetSuggestions(request.SerializeToString(), None)


class Values(dict):
    """The values of a proposal, and its labels, which come back with its trial."""

    def __init__(self, entry):
        super().__init__((item.name, item.value) for item in entry.assignments)
        self.labels = dict(entry.labels)


def points(reply):
    return [Values(entry) for entry in reply.parameter_assignments]


class Caller:
    """A controller: asks, runs and remembers. `send` answers a request."""

    def __init__(self, message, send):
        self.message, self.send = message, send
        self.finished, self.asked = [], 0

    def request(self, count, active=()):
        """All trials, as after a lost history."""
        request = api.GetSuggestionsRequest(
            experiment=self.message,
            trials=[*self.finished, *active],
            current_request_number=count,
            total_request_number=self.asked + count,
        )
        request.history.SetInParent()
        return request

    def ask(self, count, active=()):
        found = points(self.send(self.request(count, active)))
        self.asked += len(found)
        return found

    def run(self, budget, batch, loss):
        """The losses in order."""
        losses = []
        while len(losses) < budget:
            for values in self.ask(batch):
                losses.append(loss(values))
                self.finished.append(trial(len(self.finished), values, losses[-1]))
        return losses


def values_of(item):
    return {entry.name: entry.value for entry in item.spec.parameter_assignments.assignments}


def on_the_grid(text, low, high, step):
    value = Decimal(text)
    return Decimal(low) <= value <= Decimal(high) and (value - Decimal(low)) % Decimal(step) == 0


def check_values(space, values):
    assert list(values) == list(space)
    for name, (kind, feasible) in space.items():
        if kind in {api.CATEGORICAL, api.DISCRETE}:
            assert values[name] in feasible["list"]
            continue
        step = feasible["step"] or ("1" if kind == api.INT else "")
        assert Decimal(feasible["min"]) <= Decimal(values[name]) <= Decimal(feasible["max"])
        assert not step or on_the_grid(values[name], feasible["min"], feasible["max"], step)
        assert kind != api.INT or values[name] == str(int(values[name]))


@pytest.fixture
def service():
    return in_process(SuggestionService(ALGORITHMS))


@every_algorithm
def test_values_lie_in_the_space_and_on_the_step_grid(algorithm, service):
    caller = Caller(experiment(algorithm, MIXED), service)
    caller.run(40, 4, lambda values: float(values["units"]))
    for item in caller.finished:
        check_values(searched(algorithm, MIXED), values_of(item))


@pytest.mark.parametrize("algorithm", REPEATING)
def test_values_of_continuous_parameters_lie_in_the_space(algorithm, service):
    caller = Caller(experiment(algorithm, CONTINUOUS), service)
    caller.run(40, 4, lambda values: float(values["rate"]))
    for item in caller.finished:
        check_values(searched(algorithm, CONTINUOUS), values_of(item))


@every_algorithm
def test_no_point_is_proposed_twice_while_unused_ones_remain(algorithm, service):
    caller = Caller(experiment(algorithm, TWELVE_POINTS), service)
    found = []
    for index in range(3):
        batch = caller.ask(4, active=[trial(100, found[0], condition=api.TrialStatus.RUNNING)] if found else ())
        caller.finished += [trial(4 * index + place, values, place) for place, values in enumerate(batch)]
        found += batch
    assert len({tuple(values.items()) for values in found}) == 12


# Hyperband and its kin, and populations, run a configuration again on purpose.
@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("random", {}),
        ("sobol", {}),
        ("tpe", {}),
        ("multivariate-tpe", {}),
        ("cmaes", {}),
        ("bayesianoptimization", {}),
        ("nsga2", {"population_size": 10}),
        ("optuna", {"sampler": "NSGAIISampler", "population_size": 10}),
    ],
)
def test_no_point_of_a_continuum_is_proposed_twice(algorithm, settings, service):
    caller = Caller(experiment(algorithm, CONTINUOUS, **settings), service)
    caller.run(80, 4, lambda values: sum(map(float, values.values())))
    assert len({tuple(values_of(item).items()) for item in caller.finished}) == len(caller.finished)


def test_grid_answers_short_and_then_nothing(service):
    caller = Caller(experiment("grid", TWELVE_POINTS), service)
    assert [len(caller.ask(5)) for _ in range(4)] == [5, 5, 2, 0]


@pytest.mark.parametrize("algorithm", REPEATING)
def test_others_repeat_themselves_in_an_exhausted_space(algorithm, service):
    caller = Caller(experiment(algorithm, TWELVE_POINTS), service)
    caller.run(40, 8, lambda values: float(values["x"]))
    assert len(caller.ask(8)) == 8


@every_algorithm
def test_a_full_request_gets_the_answer_of_the_delta(algorithm, service):
    caller = Caller(experiment(algorithm, MIXED), service)
    caller.run(20, 4, lambda values: float(values["rate"]))
    delta = caller.request(4, [trial(50, points(service(caller.request(1)))[0], condition=api.TrialStatus.RUNNING)])
    full = api.GetSuggestionsRequest()
    full.CopyFrom(delta)
    full.ClearField("history")
    assert service(full) == service(delta)


@every_algorithm
def test_the_order_in_which_trials_are_listed_does_not_matter(algorithm, service):
    caller = Caller(experiment(algorithm, MIXED), service)
    caller.run(24, 4, lambda values: float(values["rate"]))
    request = caller.request(3)
    expected = service(request)
    shuffled = api.GetSuggestionsRequest()
    shuffled.CopyFrom(request)
    del shuffled.trials[:]
    shuffled.trials.extend(reversed(request.trials))
    assert service(shuffled) == expected


@every_algorithm
def test_history_may_come_piece_by_piece(algorithm, service):
    caller = Caller(experiment(algorithm, MIXED), service)
    caller.run(20, 4, lambda values: float(values["rate"]))
    at_once = in_process(SuggestionService(ALGORITHMS))(caller.request(4))
    digest = history.EMPTY
    for item in caller.finished[:12]:
        digest = history.extend(digest, item)
    rest = caller.request(4)
    rest.history.count, rest.history.digest = 12, digest
    del rest.trials[:12]
    assert service(rest) == at_once


@every_algorithm
def test_random_state_decides_and_without_it_the_uid(algorithm, service):
    def first(uid, **settings):
        return Caller(experiment(algorithm, MIXED, uid, **settings), service).ask(4)

    assert first("a", random_state=5) == first("b", random_state=5)
    assert first("a") == first("a")
    assert first("a") != first("b")


STATES = (
    (api.TrialStatus.SUCCEEDED, 1.5),
    (api.TrialStatus.SUCCEEDED, None),
    (api.TrialStatus.SUCCEEDED, "nan"),
    (api.TrialStatus.SUCCEEDED, "inf"),
    (api.TrialStatus.SUCCEEDED, "unavailable"),
    (api.TrialStatus.FAILED, None),
    (api.TrialStatus.KILLED, 0.5),
    (api.TrialStatus.METRICSUNAVAILABLE, None),
    (api.TrialStatus.EARLYSTOPPED, 2.5),
    (api.TrialStatus.EARLYSTOPPED, None),
    (api.TrialStatus.RUNNING, None),
    (api.TrialStatus.CREATED, None),
    (api.TrialStatus.UNKNOWN, None),
)


@every_algorithm
@pytest.mark.parametrize("states", [STATES, *((state,) for state in STATES)])
def test_trials_in_any_state_are_taken(algorithm, states, service):
    caller = Caller(experiment(algorithm, MIXED), service)
    found = caller.ask(26)
    trials = [
        trial(i, values, states[i % len(states)][1], states[i % len(states)][0]) for i, values in enumerate(found)
    ]
    for values in caller.ask(4, active=trials):
        check_values(searched(algorithm, MIXED), values)


@every_algorithm
def test_trials_from_outside_the_space_are_taken(algorithm, service):
    caller = Caller(experiment(algorithm, BOWL), service)
    odd = [{"x": "7", "y": "-3", "z": "p"}, {"x": "word", "y": "5", "z": "p"}, {"x": "0.5"}, {"z": "unheard-of"}, {}]
    caller.finished = [trial(index, values, index) for index, values in enumerate(odd * 3)]
    for values in caller.ask(4):
        check_values(searched(algorithm, BOWL), values)


@every_algorithm
def test_ten_thousand_trials_are_taken(algorithm, service):
    generator = np.random.default_rng(1)
    space = {**BOWL, "w": double_range(0, 1, "0.000001")}
    caller = Caller(experiment(algorithm, space), service)
    for index, (x, y, w) in enumerate(generator.random((10_000, 3))):
        values = {"x": f"{round(x * 500) / 500:.3f}", "y": str(int(501 * y)), "z": "pqr"[index % 3], "w": f"{w:.6f}"}
        caller.finished.append(trial(index, values, bowl(values)))
    caller.asked = 10_000
    found = caller.ask(4)
    assert len({tuple(values.items()) for values in found}) == 4
    for values in found:
        check_values(searched(algorithm, space), values)


@every_algorithm
def test_experiments_at_once_do_not_meet(algorithm, service):
    def search(seed):
        caller = Caller(experiment(algorithm, BOWL, uid=f"uid-{seed}"), service)
        return caller.run(32, 4, bowl)

    alone = [search(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(search, range(6))) == alone


def fresh(request):
    """A service that has never been asked before."""
    return in_process(SuggestionService(ALGORITHMS))(request)


def best_of(algorithm, seed, send, budget=200):
    return min(Caller(experiment(algorithm, BOWL, uid=f"uid-{seed}"), send).run(budget, 4, bowl))


@learning_algorithm
def test_it_learns_although_every_call_meets_a_fresh_service(algorithm, service):
    budget = LEARNING[algorithm]
    anew = [best_of(algorithm, seed, fresh, budget) for seed in range(10)]
    kept = [best_of(algorithm, seed, service, budget) for seed in range(10)]
    at_random = [best_of("random", seed, service) for seed in range(10)]
    assert anew == kept
    assert math.log10(np.median(anew) + 1e-9) < math.log10(np.median(at_random)) - 0.7


@learning_algorithm
def test_it_maximizes_when_told(algorithm, service):
    message = experiment(algorithm, BOWL)
    message.spec.objective.type = api.MAXIMIZE
    budget = min(80, LEARNING[algorithm])
    values = Caller(message, service).run(budget, 4, lambda values: -bowl(values))
    assert np.mean(values[-20:]) > np.mean(values[:20]) + 0.1


@learning_algorithm
def test_it_keeps_away_from_where_trials_fail(algorithm, service):
    def proposed(seed):
        caller = Caller(experiment(algorithm, BOWL, uid=f"uid-{seed}"), service)
        for index, (x, y) in enumerate(np.random.default_rng(seed).random((60, 2))):
            values = {"x": f"{round(x * 500) / 500:.3f}", "y": str(int(500 * y)), "z": "pqr"[index % 3]}
            state, loss = (api.TrialStatus.FAILED, None) if x > 0.5 else (api.TrialStatus.SUCCEEDED, y)
            caller.finished.append(trial(index, values, loss, state))
        caller.asked = 60
        return [float(values["x"]) for values in caller.ask(4)]

    assert np.mean(np.array([proposed(seed) for seed in range(10)]) > 0.5) < 0.25


class Server:
    """A suggestion server in a process of its own, on a Unix socket."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "suggestion_services", "--listen", f"unix:{folder}/socket"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().removeprefix("listening on ").strip()

    def __enter__(self):
        self.channel = grpc.insecure_channel(self.address, options=rpc.CHANNEL_OPTIONS)
        return rpc.call(self.channel, "Suggestion", "GetSuggestions")

    def __exit__(self, *error):
        self.channel.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def test_a_server_killed_and_started_again_answers_the_same(tmp_path, service):
    requests = {}
    for algorithm in ALGORITHMS:
        caller = Caller(experiment(algorithm, BOWL), service)
        caller.run(24, 4, bowl)
        requests[algorithm] = caller.request(4)
    answers = []
    for _ in range(2):
        with Server(tmp_path) as send:
            answers.append({algorithm: send(request) for algorithm, request in requests.items()})
    assert answers[0] == answers[1]
    assert answers[0] == {algorithm: service(request) for algorithm, request in requests.items()}
