"""kubeflow 0.5.0, unmodified: each call of its OptimizerClient that a server can answer."""

import pytest
from support.clients.remote import Raised
from support.cluster import operators
from support.cluster.access import create
from support.cluster.controllers import eventually
from support.cluster.experiments import Objects, condition, experiment

RUNTIME = "torch-distributed"  # the client's default
SPACE = {
    "x": {"uniform": {"min": 0.1, "max": 1.0}},
    "kind": {"choice": {"values": ["a", "bb", 3]}},
}
SIDECAR = "metrics-logger-and-collector"


@pytest.fixture(scope="module")
def trainer(api_server, namespace, playing):
    """Kubeflow Trainer, with its runtime for PyTorch."""
    create(api_server.client, f"{operators.TRAINER}/clustertrainingruntimes", operators.runtime(RUNTIME))
    return playing


@pytest.fixture(scope="module")
def begun(api_server, crds, namespace):
    """The version of the cluster before anything is tried."""
    return api_server.client.get(Objects(api_server.client, namespace).path("trials"))["metadata"]["resourceVersion"]


@pytest.fixture(scope="module")
def optimized(optimizer, controller, trainer, begun):
    """An optimization job that has completed."""
    name = optimizer.optimize(
        "minimises",
        SPACE,
        {"num_trials": 4, "parallel_trials": 2, "max_failed_trials": 1},
        objectives_wanted=[{"metric": "loss"}, {"metric": "size"}],
        algorithm={"RandomSearch": {"random_state": 7}},
        func_args={"scale": "2"},
        resources_per_node={"cpu": "100m", "gpu": 1},
        env={"UNIT": "s"},
    )
    return optimizer.wait(name, timeout=90)["job"]


def test_optimize_runs_a_function_in_trainjobs(optimized, objects):
    assert optimized["status"] == "Complete"
    assert optimized["trial_config"] == {"num_trials": 4, "parallel_trials": 2, "max_failed_trials": 1}
    assert optimized["search_space"]["x"] == {"min": 0.1, "max": 1.0, "distribution": "Distribution.UNIFORM"}
    assert optimized["search_space"]["kind"] == {"choices": ["a", "bb", "3"]}
    assert [one["metric"] for one in optimized["objectives"]] == ["loss", "size"]
    assert optimized["algorithm"] == {"random_state": 7}
    assert len(optimized["trials"]) == 4
    for trial in optimized["trials"]:
        loss, size = (float(metric["latest"]) for metric in trial["metrics"])
        assert loss == pytest.approx(2 * float(trial["parameters"]["x"]))
        assert size == len(trial["parameters"]["kind"])
        assert trial["trainjob"]["status"] == "Complete"
        (step,) = trial["trainjob"]["steps"]
        assert (step["name"], step["status"], step["device"]) == ("node-0", "Succeeded", "gpu")


def test_a_trial_is_listed_only_once_its_trainjob_is_there(optimized, objects, api_server, begun):
    """Whoever reads a job looks up the TrainJob of each trial that it finds, and fails where there is none."""

    def first(path, **query):
        events = api_server.client.watch(path, begun, 1, **query)
        versions = {}
        for event in events:
            metadata = event["object"]["metadata"]
            versions.setdefault(metadata["name"], int(metadata["resourceVersion"]))
        return versions

    made = first(objects.path("trainjobs", group=operators.TRAINER))
    label = f"katib.kubeflow.org/experiment={optimized['name']}"
    listed = first(objects.path("trials"), labelSelector=label)
    assert listed.keys() == {trial["name"] for trial in optimized["trials"]}
    assert all(made[name] < version for name, version in listed.items())


def test_a_trial_whose_trainjob_cannot_be_made_is_listed_too(optimizer, controller, objects, api_server):
    run = {"apiVersion": "trainer.kubeflow.org/v9", "kind": "TrainJob", "spec": {"rate": "${trialParameters.rate}"}}
    objects.create(experiment("unknown", run=run, trialTemplate={"primaryContainerName": "node"}))
    label = {"labelSelector": "katib.kubeflow.org/experiment=unknown"}

    def waiting():
        found = api_server.client.get(objects.path("trials"), **label)["items"]
        return found and all(condition(trial, "Waiting") for trial in found)

    eventually(waiting)
    optimizer.delete_job("unknown")


def test_jobs_are_listed_and_read(optimized, optimizer):
    name = optimized["name"]
    assert optimizer.get_job(name) == optimized
    assert optimized in optimizer.list_jobs()


def test_the_best_results_are_told(optimized, optimizer):
    best = min(optimized["trials"], key=lambda trial: float(trial["metrics"][0]["latest"]))
    assert optimizer.get_best_results(optimized["name"]) == {key: best[key] for key in ("parameters", "metrics")}


def test_events_of_the_job_and_its_trials_are_told(optimized, optimizer):
    name = optimized["name"]
    found = eventually(
        lambda: [one for one in optimizer.get_job_events(name) if one["involved_object_kind"] == "Experiment"]
    )
    assert "ExperimentMaxTrialsReached" in {one["reason"] for one in found}


def test_logs_are_asked_of_a_sidecar_that_is_not_needed_here(optimized, optimizer):
    with pytest.raises(Raised) as raised:
        optimizer.get_job_logs(optimized["name"])
    assert raised.value.kind == "RuntimeError"
    assert f"container {SIDECAR} is not valid for pod" in raised.value.cause
    trial = optimized["trials"][0]
    assert f"loss={trial['metrics'][0]['latest']}" in optimizer.logs_of_trainjob(trial["name"])


def test_logs_of_a_sidecar_are_read(optimizer, controller, trainer, api_server, objects, namespace):
    # A TrainJob's pods carry no label of ours, so that the webhook finds them in namespaces with Katib's own only.
    label = {"katib.kubeflow.org/metrics-collector-injection": "enabled"}
    api_server.client.patch(f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": label}})
    run = {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {"runtimeRef": {"name": RUNTIME}, "trainer": {"command": ["echo", "${trialParameters.rate}"]}},
    }
    template = {"primaryContainerName": "node", "retain": True}
    objects.create(experiment("files", "File", run, maxTrialCount=1, parallelTrialCount=1, trialTemplate=template))
    (trial,) = optimizer.wait("files", timeout=90, polling_interval=1)["job"]["trials"]
    (step,) = trial["trainjob"]["steps"]
    trainer.say(namespace, step["pod_name"], "watching /var/log/katib", SIDECAR)
    trainer.end(namespace, step["pod_name"], SIDECAR)
    for follow in (False, True):
        assert optimizer.get_job_logs("files", follow=follow) == ["watching /var/log/katib"]


def test_a_running_job_says_so(optimizer, controller, trainer, folder):
    gate = folder / "gate"
    name = optimizer.optimize(
        "minimises_behind_a_gate", {"x": SPACE["x"]}, {"num_trials": 2}, func_args={"gate": str(gate)}
    )
    assert optimizer.wait(name, ["Running"], timeout=90, polling_interval=1)["job"]["status"] == "Running"
    assert optimizer.get_best_results(name) is None
    gate.touch()
    assert optimizer.wait(name, timeout=90, polling_interval=1)["seen"][-1] == "Complete"


def test_a_failed_job_says_so(optimizer, controller, trainer):
    name = optimizer.optimize("breaks", {"x": SPACE["x"]}, {"num_trials": 5, "max_failed_trials": 2})
    with pytest.raises(Raised, match=f"{name} is Failed"):
        optimizer.wait(name, timeout=90, polling_interval=1)
    job = optimizer.wait(name, ["Failed"], timeout=90, polling_interval=1)["job"]
    assert {trial["trainjob"]["status"] for trial in job["trials"]} == {"Failed"}
    assert optimizer.get_best_results(name) is None


def test_a_grid_is_searched_to_its_end(optimizer, controller, trainer):
    name = optimizer.optimize(
        "minimises", {"kind": SPACE["kind"]}, {"num_trials": 3}, algorithm={"GridSearch": {}}, func_args={"x": "1"}
    )
    job = optimizer.wait(name, timeout=90, polling_interval=1)["job"]
    assert {trial["parameters"]["kind"] for trial in job["trials"]} == {"a", "bb", "3"}


def test_a_deleted_job_takes_its_trainjobs_along(optimizer, controller, trainer, api_server, objects):
    name = optimizer.optimize("minimises", {"x": SPACE["x"]}, {"num_trials": 1})
    optimizer.wait(name, timeout=90, polling_interval=1)
    optimizer.delete_job(name)
    trainjobs = objects.path("trainjobs", group=operators.TRAINER)
    eventually(
        lambda: (
            not [one for one in api_server.client.get(trainjobs)["items"] if one["metadata"]["name"].startswith(name)]
        )
    )
    with pytest.raises(Raised, match="Failed to get OptimizationJob"):
        optimizer.get_job(name)
