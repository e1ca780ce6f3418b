"""The controller's webhooks, called by a real API server."""

import pytest
from support.cluster import admitting as rig
from support.cluster.client import Refused
from support.cluster.controllers import eventually
from support.cluster.experiments import experiment


@pytest.fixture
def admitting(api_server, crds, namespace, tmp_path):
    """A controller whose webhooks the API server calls for the test's namespace."""
    with rig.admitting(api_server, tmp_path / "controller", namespace) as process:
        yield process


def test_the_controller_makes_itself_known_and_then_defaults_and_refuses(api_server, admitting, objects):
    wrong = experiment("wrong")
    wrong["spec"] |= {"maxTrialCount": -1, "objective": {"type": "up", "objectiveMetricName": "acc"}}

    def refused():
        with pytest.raises(Refused) as problem:
            api_server.client.post(objects.path("experiments"), wrong, dryRun="All")
        return "things stand in the way" in str(problem.value) and str(problem.value)

    message = eventually(refused, 30)
    assert "spec.maxTrialCount" in message
    assert "spec.objective.type" in message
    stored = objects.create(experiment("right"))
    assert stored["spec"]["objective"]["metricStrategies"] == [{"name": "acc", "value": "max"}]


def test_an_unknown_algorithm_and_wrong_settings_are_refused_at_once(api_server, admitting, objects):
    cases = {
        "tpee": "tpe",
        "tpe": "n_ei_candidates",
    }
    for name, words in cases.items():
        given = experiment(
            algorithm={"algorithmName": name, "algorithmSettings": [{"name": "n_ei_candidate", "value": "1"}]}
        )

        def refused(given=given, words=words):
            with pytest.raises(Refused) as problem:
                api_server.client.post(objects.path("experiments"), given, dryRun="All")
            return words in str(problem.value)

        eventually(refused, 30)
