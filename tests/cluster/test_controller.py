"""The controller as a process: what it answers, and who acts where there are two."""

import urllib.request

import pytest
from support.cluster.controllers import Controller, eventually
from support.cluster.experiments import experiment
from support.cluster.processes import free_ports


def config(folder, leader=False, **controller):
    """A katib-config file."""
    lines = [f"    {name}: {value}" for name, value in {"webhookPort": 0, **controller}.items()]
    lines += ["    enableLeaderElection: true"] if leader else []
    text = "\n".join(["apiVersion: config.kubeflow.org/v1beta1", "kind: KatibConfig", "init:", "  controller:", *lines])
    path = folder / "katib-config.yaml"
    path.write_text(text)
    return path


def fetched(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return answer.read().decode()


@pytest.fixture
def ports():
    return free_ports(2)


@pytest.fixture
def serving(api_server, crds, namespace, tmp_path, ports):
    metrics, health = (f'"127.0.0.1:{port}"' for port in ports)
    arguments = ["--config", str(config(tmp_path, metricsAddr=metrics, healthzAddr=health))]
    with Controller(api_server.kubeconfig, tmp_path / "controller", namespace, arguments) as process:
        yield process


def test_a_kubelet_and_prometheus_are_answered(serving, ports, objects, namespace):
    metrics, health = ports
    assert (fetched(health, "/healthz"), fetched(health, "/readyz")) == ("ok", "ok")
    objects.create(experiment())
    eventually(lambda: f'katib_experiment_created_total{{namespace="{namespace}"}} 1.0' in fetched(metrics, "/metrics"))
    eventually(lambda: f'katib_trial_created_total{{namespace="{namespace}"}} 2.0' in fetched(metrics, "/metrics"))
    shown = eventually(lambda: found if "katib_trials_current" in (found := fetched(metrics, "/metrics")) else "")
    assert f'katib_experiments_current{{namespace="{namespace}",status="Running"}} 1.0' in shown
    assert 'katib_suggestion_request_seconds_count{method="GetSuggestions"}' in shown
    assert 'katib_api_request_seconds_count{code="201",method="POST"}' in shown


def test_of_two_controllers_one_acts_until_it_leaves(api_server, crds, namespace, tmp_path, objects, monkeypatch):
    monkeypatch.setenv("KATIB_CORE_NAMESPACE", namespace)
    arguments = ["--config", str(config(tmp_path, leader=True, metricsAddr='"0"', healthzAddr='"0"'))]
    first, second = (Controller(api_server.kubeconfig, tmp_path / name, namespace, arguments) for name in "ab")
    with first:
        second.launch()
        try:
            objects.create(experiment(maxTrialCount=1, parallelTrialCount=1))
            eventually(objects.jobs)
            assert "driving" not in second.said()
            first.stop()
            eventually(lambda: "driving" in second.said(), 20)
        finally:
            second.stop()
