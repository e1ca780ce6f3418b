"""The controller's webhooks, called by a real API server."""

import pytest
import yaml
from support.cluster.client import Refused
from support.cluster.controllers import Controller, eventually
from support.cluster.experiments import experiment
from support.cluster.processes import free_ports

from katib_py.backends.k8s.webhooks.configurations import webhook_configurations

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}


@pytest.fixture
def admitting(api_server, crds, namespace, tmp_path, monkeypatch):
    """A controller whose webhooks the API server calls for the test's namespace."""
    monkeypatch.setenv("KATIB_CORE_NAMESPACE", namespace)
    (port,) = free_ports(1)
    settings = {"metricsAddr": "0", "healthzAddr": "0", "webhookPort": port}
    path = tmp_path / "katib-config.yaml"
    path.write_text(yaml.safe_dump({"init": {"controller": settings}}))
    client = api_server.client
    with Controller(api_server.kubeconfig, tmp_path / "controller", namespace, ["--config", str(path)]) as process:
        eventually(lambda: "webhooks answer" in process.said())
        configurations = webhook_configurations(f"https://127.0.0.1:{port}", namespace)
        for configuration in configurations:
            client.post(f"{WEBHOOKS}/{PLURALS[configuration['kind']]}", configuration)
        try:
            yield process
        finally:
            for kind in PLURALS.values():
                client.delete(f"{WEBHOOKS}/{kind}/katib.kubeflow.org")


def trusted(client):
    found = client.get(f"{WEBHOOKS}/mutatingwebhookconfigurations/katib.kubeflow.org")
    return all(webhook["clientConfig"].get("caBundle") for webhook in found["webhooks"])


def test_the_controller_makes_itself_known_and_then_defaults_and_refuses(api_server, admitting, objects):
    eventually(lambda: trusted(api_server.client), 30)
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
    eventually(lambda: trusted(api_server.client), 30)
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
