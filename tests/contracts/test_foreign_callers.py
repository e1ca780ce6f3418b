"""Other people's controllers ask our service: Katib's, and Kubeflow Trainer's for an OptimizationJob.

Neither knows a field of ours, both insist on an exact count, and the service is another one with every call.
"""

from __future__ import annotations

import grpc
import pytest

from katib_py.wire import api, rpc
from suggestion_services.registry import ALGORITHMS
from suggestion_services.server import serve
from suggestion_services.suggestion import SuggestionService

SPENDING = ("hyperband", "asha", "bohb")
every_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS)
OURS = 100  # the fields from this number on


def experiment(algorithm, **settings):
    message = api.Experiment(name="foreign")
    space = message.spec.parameter_specs.parameters
    rate = api.FeasibleSpace(min="0.001", max="0.1", step="0.001" if algorithm == "grid" else "")
    space.add(name="rate", parameter_type=api.DOUBLE, feasible_space=rate)
    space.add(name="units", parameter_type=api.INT, feasible_space=api.FeasibleSpace(min="8", max="64"))
    if algorithm in SPENDING:
        space.add(name="epochs", parameter_type=api.INT, feasible_space=api.FeasibleSpace(min="1", max="27"))
        settings = {"r_l": "27", "resource_name": "epochs", **settings}
    message.spec.objective.objective_metric_name = "loss"
    message.spec.objective.type = api.MINIMIZE
    message.spec.algorithm.algorithm_name = algorithm
    for name, value in settings.items():
        message.spec.algorithm.algorithm_settings.add(name=name, value=value)
    message.spec.parallel_trial_count = 3
    return message


def ours(message):
    """Fields of ours that a message has set, at any depth."""
    for field, value in message.ListFields():
        if field.number >= OURS:
            yield field.name
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            for item in value if field.is_repeated else [value]:
                yield from ours(item)


def ask(message, trials, count, total):
    """A call as they make it, of a service that has never been asked."""
    request = api.GetSuggestionsRequest(experiment=message, trials=trials, current_request_number=count)
    request.total_request_number = total
    assert not list(ours(request))
    return SuggestionService(ALGORITHMS).GetSuggestions(request.SerializeToString(), None)


def finished(name, entry, time=""):
    trial = api.Trial(name=name)
    trial.spec.parameter_assignments.assignments.extend(entry.assignments)
    trial.status.condition = api.TrialStatus.SUCCEEDED
    trial.status.start_time = time
    trial.status.observation.metrics.add(name="loss", value=entry.assignments[0].value)
    return trial


def points(reply):
    return [tuple((item.name, item.value) for item in entry.assignments) for entry in reply.parameter_assignments]


@every_algorithm
def test_katibs_controller_gets_its_exact_count_although_it_brings_no_label_back(algorithm):
    message, trials, found = experiment(algorithm), [], []
    for turn in range(5):
        reply = ask(message, trials, 3, len(trials) + 3)
        assert not list(ours(reply))
        assert len(reply.parameter_assignments) == 3
        for setting in reply.algorithm.algorithm_settings:  # Katib keeps these and sends them as settings
            known = {item.name: item for item in message.spec.algorithm.algorithm_settings}
            (
                known.get(setting.name) or message.spec.algorithm.algorithm_settings.add(name=setting.name)
            ).value = setting.value
        found += points(reply)
        for place, entry in enumerate(reply.parameter_assignments):
            name = entry.trial_name or f"foreign-{turn}{place}"
            trials.append(finished(name, entry, f"2026-01-01T00:{turn:02d}:{place:02d}Z"))
    assert len(set(found)) > len(found) - 3 if algorithm in SPENDING else len(set(found)) == len(found)


@every_algorithm
def test_an_optimization_job_sends_all_its_history_with_every_call(algorithm):
    message, trials, found = experiment(algorithm, **({} if algorithm == "grid" else {"random_state": "3"})), [], []
    while len(trials) < 12:
        reply = ask(message, trials, 2, 0)  # it counts no total, and its trials have no times
        assert len(reply.parameter_assignments) == 2
        found += points(reply)
        trials += [
            finished(f"job-{len(trials) + place}", entry) for place, entry in enumerate(reply.parameter_assignments)
        ]
    assert points(ask(message, trials, 2, 0)) == points(ask(message, trials, 2, 0))
    if algorithm not in SPENDING:
        assert len(set(found)) == len(found)


def test_a_grid_of_choices_ends_with_an_error_that_says_so(tmp_path):
    message = api.Experiment(name="job")
    for name in ("optimizer", "schedule"):
        space = api.FeasibleSpace(list=["a", "b"])
        message.spec.parameter_specs.parameters.add(name=name, parameter_type=api.CATEGORICAL, feasible_space=space)
    message.spec.objective.objective_metric_name = "loss"
    message.spec.algorithm.algorithm_name = "grid"
    reply = ask(message, [], 4, 0)
    assert len(set(points(reply))) == 4
    trials = [finished(f"job-{place}", entry) for place, entry in enumerate(reply.parameter_assignments)]
    for trial in trials:
        trial.status.observation.metrics[0].value = "1"
    server, address = serve(f"unix:{tmp_path}/s", ALGORITHMS)
    request = api.GetSuggestionsRequest(experiment=message, trials=trials, current_request_number=1)
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as error:
        rpc.call(channel, "Suggestion", "GetSuggestions")(request)
    server.stop(None).wait()
    assert error.value.code() is grpc.StatusCode.OUT_OF_RANGE
    assert error.value.details() == "all 4 points of the grid have been proposed"
