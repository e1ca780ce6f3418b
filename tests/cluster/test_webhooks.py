"""Admission on a real API server: Experiments defaulted, repaired and refused; trials' pods with their collectors."""

import copy
import json
import socket
import subprocess
import time
import uuid

import pytest
import yaml
from support.cluster.client import Refused
from support.cluster.experiments import experiment
from support.cluster.kinds import install, path_of
from support.cluster.webhooks import IMAGE, Replica, asked, bundles, configure, unconfigure
from support.ports import free_port
from support.shell import wait_for

TRIAL = "/apis/kubeflow.org/v1beta1/namespaces/{}/trials"
PODS = "/api/v1/namespaces/{}/pods"
LABEL = "katib.kubeflow.org/trial"


@pytest.fixture(scope="module")
def server(own_api_server):
    own_api_server.namespace("kubeflow")
    install(own_api_server.client)
    return own_api_server


@pytest.fixture(scope="module")
def client(server):
    return server.client


@pytest.fixture(scope="module")
def replica(server):
    with Replica(server.kubeconfig) as replica:
        yield replica


@pytest.fixture
def webhooks(client, replica):
    """The API server asks us, and knows it: what it is told it takes a moment to notice."""
    configure(client, replica.url)
    wait_for(lambda: all(bundles(client)))
    name = space(client)
    wait_for(lambda: asked(client, name))
    yield
    unconfigure(client)


def space(client, **labels):
    """A new namespace."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    client.post("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    client.post(f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": "default"}})
    return name


@pytest.fixture
def here(client, server):
    return space(client)


@pytest.fixture
def kubectl(server, here):
    def run(*arguments, **document):
        command = ["kubectl", "--kubeconfig", str(server.kubeconfig), "-n", here, *arguments]
        return subprocess.run(command, input=yaml.safe_dump(document), capture_output=True, text=True, check=False)

    return run


def test_an_experiment_is_stored_with_its_defaults(client, webhooks, here):
    spec = client.post(path_of(here, "Experiment"), experiment(collector="File"))["spec"]
    assert spec["resumePolicy"] == "Never"
    assert spec["objective"]["metricStrategies"] == [{"name": "acc", "value": "max"}]
    assert spec["parameters"][0]["feasibleSpace"]["distribution"] == "uniform"
    path = {"kind": "File", "path": "/var/log/katib/metrics.log", "format": "TEXT"}
    assert spec["metricsCollectorSpec"]["source"]["fileSystemPath"] == path
    assert spec["trialTemplate"]["successCondition"]


def test_kubectl_shows_every_problem_at_once(webhooks, kubectl):
    wrong = experiment(maxTrialCount=0, objective={"type": "up"}, algorithm={"algorithmName": "rnadom"})
    wrong["spec"]["parameters"][0]["feasibleSpace"]["min"] = "x"
    refused = kubectl("create", "-f", "-", "--validate=ignore", **wrong)
    assert refused.returncode == 1
    for path in (
        "spec.maxTrialCount: is 0",
        "spec.objective.type: is 'up'",
        "spec.objective.objectiveMetricName: is missing",
        "spec.algorithm.algorithmName: is 'rnadom'",
        "spec.parameters[0].feasibleSpace.min: is 'x'",
    ):
        assert path in refused.stderr
    assert "5 things stand in the way" in refused.stderr


def test_kubectl_shows_warnings_once(webhooks, kubectl):
    done = kubectl("create", "-f", "-", "--validate=ignore", **experiment(goal=1))
    assert done.returncode == 0
    assert done.stderr.count("Warning: spec.goal: is not a known field") == 1


def test_the_official_clients_categorical_parameter_is_stored_as_it_was_meant(client, webhooks, here):
    document = experiment()
    document["spec"]["parameters"].append(
        {"name": "opt", "parameterType": "categorical", "feasibleSpace": {"distribution": ["sgd", 1, True]}}
    )
    document["spec"]["trialTemplate"]["trialParameters"].append({"name": "o", "reference": "opt"})
    container = document["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"][0]
    container["command"].append("--opt=${trialParameters.o}")
    stored = client.post(path_of(here, "Experiment"), document)["spec"]["parameters"][1]["feasibleSpace"]
    assert stored == {"list": ["sgd", "1", "True"], "distribution": "uniform"}


def test_a_name_that_the_server_makes_up_is_fine(client, webhooks, here):
    document = experiment()
    document["metadata"] = {"generateName": "demo-"}
    assert client.post(path_of(here, "Experiment"), document)["metadata"]["name"].startswith("demo-")


def test_budgets_can_be_edited_and_little_else(client, webhooks, here):
    client.post(path_of(here, "Experiment"), experiment())
    path = path_of(here, "Experiment", "demo")
    assert client.patch(path, {"spec": {"maxTrialCount": 9}})["spec"]["maxTrialCount"] == 9
    assert client.patch(path, {"spec": {"suspend": True}})["spec"]["suspend"] is True
    with pytest.raises(Refused, match=r"spec\.objective\.goal: was None and is 0\.5"):
        client.patch(path, {"spec": {"objective": {"goal": 0.5}}})
    with pytest.raises(Refused, match="must not exceed maxTrialCount, 9"):
        client.patch(path, {"spec": {"parallelTrialCount": 10}})


def test_what_was_stored_before_we_came_stays_editable_and_deletable(client, replica, here, request):
    """As Katib would have let it pass, with a finalizer of Katib's."""
    document = experiment(algorithm={"algorithmName": "gone"})
    document["metadata"]["finalizers"] = ["katib.kubeflow.org/update-prometheus-metrics"]
    document["spec"]["parameters"][0]["feasibleSpace"] = {"min": "5", "max": "1"}
    client.post(path_of(here, "Experiment"), document)
    request.getfixturevalue("webhooks")
    path = path_of(here, "Experiment", "demo")
    client.patch(path, {"metadata": {"labels": {"a": "b"}}})
    client.patch(path, {"spec": {"maxTrialCount": 9}})
    client.patch(path, {"status": {"trials": 5}})
    client.delete(path)
    client.patch(path, {"metadata": {"finalizers": None}})
    with pytest.raises(Refused, match="404"):
        client.get(path)


def test_a_template_in_a_config_map_is_looked_into_and_may_come_later(client, webhooks, kubectl, here):
    document = experiment()
    run = document["spec"]["trialTemplate"].pop("trialSpec")
    where = {"configMapName": "templates", "configMapNamespace": here, "templatePath": "job.yaml"}
    condition = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
    document["spec"]["trialTemplate"] |= {
        "configMap": where,
        "successCondition": condition,
        "failureCondition": condition,
    }
    done = kubectl("create", "-f", "-", "--validate=ignore", **document)
    assert done.returncode == 0
    assert "Warning: spec.trialTemplate.configMap: the ConfigMap 'templates'" in done.stderr
    text = yaml.safe_dump(run).replace("trialParameters.rate", "trialParameters.rat")
    client.post(
        f"/api/v1/namespaces/{here}/configmaps", {"metadata": {"name": "templates"}, "data": {"job.yaml": text}}
    )
    document["metadata"]["name"] = "other"
    with pytest.raises(Refused, match="which trialParameters lacks: did you mean rate"):
        client.post(path_of(here, "Experiment"), document)


# --- pods


def trial(name, kind="File", **spec):
    path = {"kind": "File", "path": "/var/log/katib/metrics.log", "format": "TEXT"}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Trial",
        "metadata": {"name": name, "labels": {"katib.kubeflow.org/experiment": "demo"}},
        "spec": {
            "objective": {"type": "maximize", "objectiveMetricName": "acc"},
            "metricsCollector": {"collector": {"kind": kind}, "source": {"fileSystemPath": path}},
            "primaryContainerName": "main",
            "parameterAssignments": [],
            "runSpec": {"apiVersion": "batch/v1", "kind": "Job"},
            **spec,
        },
    }


RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(name="demo-x", owner=None, **labels):
    main = {"name": "main", "image": "train", "securityContext": RESTRICTED}
    metadata = {"generateName": f"{name}-", "labels": labels}
    if owner is not None:
        metadata["ownerReferences"] = [{key: owner[key] for key in ("apiVersion", "kind")} | named(owner)]
    return {"metadata": metadata, "spec": {"restartPolicy": "Never", "containers": [main]}}


def named(owner):
    return {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}


def test_a_trials_pod_gets_its_collector(client, webhooks, here):
    made = client.post(TRIAL.format(here), trial("demo-x"))
    stored = client.post(PODS.format(here), pod(**{LABEL: "demo-x"}))
    (sidecar,) = stored["spec"]["initContainers"]
    assert (sidecar["name"], sidecar["image"]) == ("metrics-logger-and-collector", IMAGE)
    assert sidecar["restartPolicy"] == "Always"
    env = {entry["name"]: entry["value"] for entry in stored["spec"]["containers"][0]["env"]}
    assert env["KATIB_TRIAL_UID"] == made["metadata"]["uid"]
    assert stored["metadata"]["labels"]["katib.kubeflow.org/experiment"] == "demo"
    # What was injected already is left as it is.
    again = copy.deepcopy(stored)
    again["metadata"] = {"name": "again", "labels": stored["metadata"]["labels"]}
    twin = client.post(PODS.format(here), again)
    assert twin["spec"]["initContainers"] == stored["spec"]["initContainers"]


def test_a_pod_with_its_collector_passes_the_restricted_level(client, webhooks):
    name = space(client, **{"pod-security.kubernetes.io/enforce": "restricted"})
    client.post(TRIAL.format(name), trial("demo-x"))
    stored = client.post(PODS.format(name), pod(**{LABEL: "demo-x"}))
    assert stored["spec"]["initContainers"]


def test_a_pod_that_could_not_be_labelled_is_known_by_its_owners(client, webhooks):
    name = space(client, **{"katib.kubeflow.org/metrics-collector-injection": "enabled"})
    owner = client.post(TRIAL.format(name), trial("demo-x"))
    template = {"metadata": {}, "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x"}]}}
    job = {"metadata": {"name": "demo-x", "ownerReferences": [reference(owner)]}, "spec": {"template": template}}
    job = client.post(f"/apis/batch/v1/namespaces/{name}/jobs", job) | {"apiVersion": "batch/v1", "kind": "Job"}
    stored = client.post(PODS.format(name), pod(owner=job))
    assert stored["metadata"]["labels"][LABEL] == "demo-x"
    assert stored["spec"]["initContainers"]
    other = client.post(PODS.format(name), pod(name="other"))
    assert "initContainers" not in other["spec"]


def reference(owner):
    return {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", **named(owner)}


def test_a_pod_whose_trial_is_unknown_is_left_as_it_is_and_it_is_said(client, webhooks, kubectl):
    done = kubectl("create", "-f", "-", "-o", "json", apiVersion="v1", kind="Pod", **pod(**{LABEL: "nobody"}))
    assert "initContainers" not in json.loads(done.stdout)["spec"]
    assert "Warning: katib: there is no Trial nobody" in done.stderr


def test_whatever_is_wrong_with_us_no_pod_is_refused(server, client, here, kubectl):
    def broken():
        raise RuntimeError("we are broken")

    client.post(TRIAL.format(here), trial("demo-x"))
    with Replica(server.kubeconfig, config=broken) as replica:
        configure(client, replica.url)
        wait_for(lambda: all(bundles(client)))

        def warned():
            done = kubectl("create", "-f", "-", apiVersion="v1", kind="Pod", **pod(**{LABEL: "demo-x"}))
            assert done.returncode == 0
            return "gets no metrics collector: we are broken" in done.stderr

        wait_for(warned)
    unconfigure(client)


def test_while_nobody_answers_pods_and_experiments_are_stored(client, replica, here):
    configure(client, f"https://127.0.0.1:{free_port()}")
    client.post(TRIAL.format(here), trial("demo-x"))
    assert "initContainers" not in client.post(PODS.format(here), pod(**{LABEL: "demo-x"}))["spec"]
    assert client.post(path_of(here, "Experiment"), experiment())["spec"]
    unconfigure(client)


def test_while_the_controller_hangs_a_trials_pod_waits_its_three_seconds_and_others_not_at_all(client, replica, here):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        configure(client, "https://127.0.0.1:{1}".format(*silent.getsockname()))
        began = time.monotonic()
        wait_for(lambda: (client.post(PODS.format(here), pod(**{LABEL: "demo-x"})), time.monotonic() - began > 3)[1])
        before = time.monotonic()
        client.post(PODS.format(here), pod(name="other"))
        assert time.monotonic() - before < 3
    unconfigure(client)
