from __future__ import annotations

import grpc
import pytest

from katib_py.wire import api, history, rpc


@pytest.fixture
def get(channel):
    return rpc.call(channel, "Suggestion", "GetSuggestions")


@pytest.fixture
def validate(channel, experiment):
    call = rpc.call(channel, "Suggestion", "ValidateAlgorithmSettings")
    return lambda: call(api.ValidateAlgorithmSettingsRequest(experiment=experiment))


@pytest.fixture
def request_of(experiment):
    """A request; `held` are the trials that the service should know, None for Katib's form."""

    def request_of(count, trials=(), held=None, asked=0):
        request = api.GetSuggestionsRequest(
            experiment=experiment, trials=trials, current_request_number=count, total_request_number=asked + count
        )
        if held is not None:
            request.history.count, request.history.digest = len(held), digest_of(held)
            request.history.SetInParent()
        return request

    return request_of


def digest_of(trials):
    digest = history.EMPTY
    for item in trials:
        digest = history.extend(digest, item)
    return digest


def values(reply):
    return [entry.assignments[0].value for entry in reply.parameter_assignments]


def status(call, *arguments):
    with pytest.raises(grpc.RpcError) as error:
        call(*arguments)
    return error.value.code(), error.value.details()


def test_validation_announces_what_is_understood(validate):
    assert list(validate().features) == [
        "delta-history",
        "short-replies",
        "parameter-conditions",
        "parameter-constraints",
        "initial-assignments",
        "objectives",
        "outcome-constraints",
        "ask-ahead",
    ]


def test_an_algorithm_that_learns_is_not_to_be_asked_ahead(validate, experiment):
    experiment.spec.algorithm.algorithm_name = "tpe"
    assert "ask-ahead" not in validate().features


def test_all_problems_of_an_experiment_are_told_at_once(validate, experiment):
    experiment.spec.algorithm.algorithm_name = "tp"
    experiment.spec.parameter_specs.parameters[0].feasible_space.max = "0"
    code, words = status(validate)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "did you mean tpe?" in words
    assert "spec.parameters[0].feasibleSpace.min: is 1; must not exceed max, 0" in words


def test_an_experiment_without_parameters_is_refused(validate, experiment):
    del experiment.spec.parameter_specs.parameters[:]
    assert status(validate)[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_a_grid_needs_steps_and_points_for_every_trial(validate, experiment):
    experiment.spec.algorithm.algorithm_name = "grid"
    experiment.spec.max_trial_count = 10
    validate()
    experiment.spec.max_trial_count = 11
    assert "is 11; must not exceed the 10 points" in status(validate)[1]
    experiment.spec.parameter_specs.parameters[0].parameter_type = api.DOUBLE
    assert "spec.parameters[0].feasibleSpace.step: is missing" in status(validate)[1]


def test_a_fractional_step_of_an_int_is_read_as_whole(get, experiment, request_of):
    experiment.spec.parameter_specs.parameters[0].feasible_space.step = "0.8"
    assert {int(value) for value in values(get(request_of(10)))} == set(range(1, 11))


def test_history_that_the_service_lacks_is_asked_for(get, request_of, trial):
    held = [trial("a", 1), trial("b", 2)]
    code, words = status(get, request_of(1, held=held))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert words == "0 trials are held, not the 2 told of; send all of them"


def test_history_of_another_digest_is_asked_for(get, request_of, trial):
    get(request_of(1, [trial("a", 1)], held=[]))
    get(request_of(1, [trial("b", 2)], held=[trial("a", 1)]))
    assert status(get, request_of(1, held=[trial("c", 1)]))[0] is grpc.StatusCode.FAILED_PRECONDITION


def test_a_delta_whose_reply_was_lost_may_be_sent_again(get, request_of, trial):
    first, second = trial("a", 1), trial("b", 2)
    answer = get(request_of(3, [first, second], held=[]))
    assert get(request_of(3, [first, second], held=[])) == answer
    assert get(request_of(3, [second], held=[first])) == answer


def test_a_delta_that_differs_from_what_is_held_replaces_it(get, request_of, trial):
    get(request_of(1, [trial("a", x) for x in range(1, 6)], held=[]))
    left = [trial("a", x) for x in range(1, 10)]
    assert values(get(request_of(1, left, held=[]))) == ["10"]


def test_active_trials_are_no_history(get, request_of, trial):
    running = trial("a", 3, condition=api.TrialStatus.RUNNING)
    get(request_of(1, [running], held=[]))
    get(request_of(1, [running], held=[]))


def test_the_end_of_a_grid_is_a_short_reply_to_us_and_an_error_to_katib(get, experiment, request_of):
    experiment.spec.algorithm.algorithm_name = "grid"
    assert len(values(get(request_of(4, held=[], asked=8)))) == 2
    assert len(values(get(request_of(4, asked=8)))) == 4
    assert values(get(request_of(1, held=[], asked=10))) == []
    assert status(get, request_of(1, asked=10)) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "all 10 points of the grid have been proposed",
    )


def test_a_raised_budget_ends_a_grid_and_does_not_break_it(get, experiment, request_of):
    experiment.spec.algorithm.algorithm_name = "grid"
    experiment.spec.max_trial_count = 100
    assert len(values(get(request_of(20, held=[])))) == 10


@pytest.mark.parametrize("count", [-1, 10_001])
def test_an_absurd_count_is_refused(get, request_of, count):
    assert status(get, request_of(count))[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_asking_for_nothing_gets_nothing(get, request_of):
    assert values(get(request_of(0))) == []


def test_without_a_total_the_trials_count_what_was_asked(get, request_of, trial):
    request = request_of(2, [trial("a", 1), trial("b", 2)])
    request.total_request_number = 0
    same = request_of(2, [trial("a", 1), trial("b", 2)], asked=2)
    assert get(request) == get(same)


def test_bytes_that_are_no_request_are_refused(channel):
    call = channel.unary_unary(f"/{rpc.PACKAGE}.Suggestion/GetSuggestions")
    assert status(call, b"\xff\xff\xff")[0] is grpc.StatusCode.INVALID_ARGUMENT
