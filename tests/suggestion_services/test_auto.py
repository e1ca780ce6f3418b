"""Which algorithm searches where none is named."""

from __future__ import annotations

import pytest

from katib_py.core.errors import InvalidInput
from katib_py.core.extensions import OBJECTIVES
from katib_py.wire import api
from suggestion_services.auto import CHOSEN
from suggestion_services.registry import ALGORITHMS
from suggestion_services.search import check
from suggestion_services.suggestion import SuggestionService

UNIT = api.FeasibleSpace(min="0", max="1")


def experiment(dimensions=2, max_trials=100, **settings):
    message = api.Experiment(name="e", uid="uid")
    message.spec.max_trial_count = max_trials
    add = message.spec.parameter_specs.parameters.add
    for index in range(dimensions):
        add(name=f"x{index}", parameter_type=api.DOUBLE, feasible_space=UNIT)
    add(name="epochs", parameter_type=api.INT, feasible_space=api.FeasibleSpace(min="1", max="27"))
    message.spec.objective.objective_metric_name = "loss"
    message.spec.objective.type = api.MINIMIZE
    message.spec.algorithm.algorithm_name = "auto"
    for name, value in settings.items():
        message.spec.algorithm.algorithm_settings.add(name=name, value=value)
    return message


def chosen(message, count=1):
    """The algorithms that the labels of a reply name."""
    request = api.GetSuggestionsRequest(experiment=message, current_request_number=count, total_request_number=count)
    reply = SuggestionService(ALGORITHMS).GetSuggestions(request.SerializeToString(), None)
    return {entry.labels[CHOSEN] for entry in reply.parameter_assignments}


def features(message):
    request = api.ValidateAlgorithmSettingsRequest(experiment=message)
    return SuggestionService(ALGORITHMS).ValidateAlgorithmSettings(request, None).features


def test_few_costly_trials_are_proposed_by_a_model_and_an_evolution_in_turn():
    assert chosen(experiment(), 2) == chosen(experiment(max_trials=0), 2) == {"bayesianoptimization", "cmaes"}


def test_many_trials_and_many_at_once_need_quick_proposals():
    assert chosen(experiment(max_trials=5_000)) == chosen(experiment(), count=64) == {"multivariate-tpe"}


def test_many_parameters_are_searched_one_by_one():
    assert chosen(experiment(dimensions=60)) == {"tpe"}


def test_several_objectives_are_searched_by_fronts():
    message = experiment()
    message.spec.objective.additional_metric_names.append("cost")
    for name in ("loss", "cost"):
        message.spec.objectives.add(type=api.MINIMIZE, objective_metric_name=name)
    assert chosen(message) == {"tpe"}


def test_with_a_resource_what_does_well_goes_on():
    message = experiment(resource_name="epochs", r_l="27")
    assert chosen(message) == {"asha"}
    assert OBJECTIVES not in features(message)
    assert OBJECTIVES in features(experiment())


@pytest.mark.parametrize(
    "settings", [{"resource_name": "epochs"}, {"r_l": "27"}, {"resource_name": "epoch", "r_l": "27"}]
)
def test_a_resource_that_is_half_said_or_misspelt_is_refused(settings):
    with pytest.raises(InvalidInput, match=r"r_l|resource_name"):
        check(experiment(**settings), ALGORITHMS)


def test_no_point_is_proposed_twice_in_one_reply():
    message = experiment(dimensions=0)
    request = api.GetSuggestionsRequest(experiment=message, current_request_number=27, total_request_number=27)
    reply = SuggestionService(ALGORITHMS).GetSuggestions(request.SerializeToString(), None)
    assert len({entry.assignments[0].value for entry in reply.parameter_assignments}) == 27
