"""kubeflow-katib 0.19.0, unmodified: each call of its KatibClient that a server can answer."""

import pytest
from support.clients.remote import Raised
from support.cluster.client import Refused
from support.cluster.controllers import eventually
from support.cluster.experiments import experiment, last

SEARCH = {
    "lr": {"double": {"min": 0.01, "max": 0.1}},
    "units": {"int": {"min": 8, "max": 64, "step": 8}},
    "choice": {"categorical": {"list": ["sgd", True, 3]}},
    "batch": 32,
}
LR = {"lr": {"double": {"min": 0.01, "max": 0.1}}}
BUDGET = {"objective_metric_name": "accuracy", "max_trial_count": 2, "parallel_trial_count": 2}
SIDECAR = "metrics-logger-and-collector"


def waited(katib, name, condition="Succeeded"):
    return katib.wait_for_experiment_condition(
        name, expected_condition=condition, polling_interval=1, timeout=90, apiserver_timeout=10
    )


def names(found):
    return {one["metadata"]["name"] for one in found}


def texts(pairs):
    return {pair["name"]: pair["value"] for pair in pairs}


@pytest.fixture(scope="module")
def tuned(katib, controller, playing):
    """An experiment of tune() that has ended."""
    katib.tune(
        "tuned",
        "prints",
        SEARCH,
        algorithm_name="tpe",
        algorithm_settings={"random_state": 7},
        objective_metric_name="accuracy",
        additional_metric_names=["loss"],
        max_trial_count=4,
        parallel_trial_count=2,
        max_failed_trial_count=1,
        resources_per_trial={"cpu": "100m", "GPU": 1},
        env_per_trial={"UNIT": "s"},
    )
    return waited(katib, "tuned")


def test_tune_runs_a_function_in_jobs(tuned, katib, objects):
    assert last(tuned) == ("Succeeded", "ExperimentMaxTrialsReached")
    assert (tuned["status"]["trials"], tuned["status"]["trialsSucceeded"]) == (4, 4)
    choice = objects.experiment("tuned")["spec"]["parameters"][2]
    assert choice["feasibleSpace"] == {"list": ["sgd", "True", "3"], "distribution": "uniform"}
    assert "4 Trials, 0 Pending Trials, 0 Running Trials, 4 Succeeded Trials" in katib.printed()


def test_the_best_trial_and_all_that_succeeded_are_told(tuned, katib):
    best, details = katib.get_optimal_hyperparameters("tuned"), katib.get_success_trial_details("tuned")
    values = {one["name"]: float(one["metrics"][0]["max"]) for one in details}
    assert len(values) == 4
    assert max(values, key=values.get) == best["bestTrialName"]
    for one in details:
        found, (accuracy, loss) = texts(one["parameter_assignments"]), one["metrics"]
        assert set(found) == {"lr", "units", "choice"}
        assert float(loss["latest"]) == pytest.approx(1 - float(found["lr"]))
        assert float(accuracy["max"]) == pytest.approx(float(accuracy["min"]) + 0.01)
    assert all(one in katib.get_success_trial_details() for one in details)


def test_experiments_trials_and_suggestions_are_read(tuned, katib):
    assert katib.get_experiment("tuned") == tuned
    assert tuned in katib.list_experiments()
    trials = katib.list_trials("tuned")
    assert len(trials) == 4
    assert names(trials) <= names(katib.list_trials())
    assert katib.get_trial(trials[0]["metadata"]["name"]) == trials[0]
    assert trials[0]["spec"]["primaryContainerName"] == "training-container"
    suggestion = katib.get_suggestion("tuned")
    assert suggestion["status"]["suggestionCount"] == suggestion["spec"]["requests"] >= 4
    assert {one["name"] for one in suggestion["status"]["suggestions"]} == names(trials)
    # It asks for experiments, and takes what comes for suggestions.
    assert names(katib.list_suggestions()) == names(katib.list_experiments())


def test_the_conditions_of_an_experiment_are_told(tuned, katib):
    conditions = katib.get_experiment_conditions("tuned")
    assert [one["type"] for one in conditions] == ["Created", "Running", "Succeeded"]
    told = {
        state: getattr(katib, f"is_experiment_{state}")("tuned")
        for state in ("created", "running", "restarting", "succeeded", "failed")
    }
    assert told == {"created": True, "running": False, "restarting": False, "succeeded": True, "failed": False}


def test_a_running_experiment_says_so_and_its_logs_can_be_followed(katib, playing, controller, folder):
    gate = folder / "gate"
    collector = {"kind": "Push"}  # with StdOut the logs are asked of a sidecar
    katib.tune("runs", "waits", {**LR, "gate": str(gate)}, metrics_collector_config=collector, **BUDGET)
    waited(katib, "runs", "Running")
    assert katib.is_experiment_running("runs")
    trial = eventually(lambda: [one for one in katib.list_trials("runs") if last(one)[0] == "Running"])[0]
    name = trial["metadata"]["name"]
    (lr,) = texts(trial["spec"]["parameterAssignments"]).values()
    eventually(lambda: katib.get_job_logs("runs", name) == [f"accuracy={lr}"])
    gate.touch()
    assert katib.get_job_logs("runs", name, follow=True) == [f"accuracy={lr}", "let go"]
    assert katib.get_optimal_hyperparameters("runs") is None


def test_a_trial_reports_its_metrics_itself(katib, playing, controller, db_manager):
    katib.tune("reports", "reports", LR, metrics_collector_config={"kind": "Push"}, retain_trials=True, **BUDGET)
    waited(katib, "reports")
    best = katib.get_optimal_hyperparameters("reports")
    (lr,) = texts(best["parameterAssignments"]).values()
    (accuracy,) = best["observation"]["metrics"]
    assert float(accuracy["max"]) == float(accuracy["latest"]) == pytest.approx(float(lr) + 2)
    assert float(accuracy["min"]) == pytest.approx(float(lr))
    name = best["bestTrialName"]
    metrics = katib.get_trial_metrics(name, db_manager)
    assert [one["metric"]["value"] for one in metrics if one["metric"]["name"] == "epoch"] == ["0", "1", "2"]
    assert [one["metric"]["value"] for one in metrics if one["metric"]["name"] == "odd"] == ["nan"]
    assert katib.get_job_logs("reports", name) == ["reported"]


def test_metrics_that_were_printed_are_read_from_the_db_manager(tuned, katib, db_manager):
    for trial in katib.get_success_trial_details("tuned"):
        metrics = katib.get_trial_metrics(trial["name"], db_manager)
        values = [float(one["metric"]["value"]) for one in metrics if one["metric"]["name"] == "accuracy"]
        assert values == [float(trial["metrics"][0]["min"]), float(trial["metrics"][0]["max"])]


def test_logs_of_stdout_are_asked_of_a_sidecar_that_is_not_needed_here(katib, playing, controller):
    katib.tune("prints", "prints", SEARCH, retain_trials=True, **BUDGET)
    waited(katib, "prints")
    name = katib.list_trials("prints")[0]["metadata"]["name"]
    with pytest.raises(Raised) as raised:
        katib.get_job_logs("prints", name)
    assert raised.value.kind == "RuntimeError"
    assert f"container {SIDECAR} is not valid for pod {name}" in raised.value.message


def test_trials_that_fail_fail_the_experiment(katib, playing, controller):
    katib.tune("fails", "fails", LR, max_failed_trial_count=1, **BUDGET)
    with pytest.raises(Raised, match="fails is Failed"):
        waited(katib, "fails")
    assert last(waited(katib, "fails", "Failed"))[0] == "Failed"
    assert katib.is_experiment_failed("fails")
    assert katib.get_success_trial_details("fails") == []


def test_a_goal_ends_the_search(katib, playing, controller):
    budget = {**BUDGET, "max_trial_count": 50}
    katib.tune("goal", "distributed", LR, objective_goal=0.5, objective_type="minimize", **budget)
    assert last(waited(katib, "goal")) == ("Succeeded", "ExperimentGoalReached")


def test_tune_runs_a_function_in_pytorchjobs(katib, playing, controller, api_server, objects):
    trainer = {"num_workers": 3, "num_procs_per_worker": 2, "resources_per_worker": {"gpu": "2"}}
    deadline = {"trial_active_deadline_seconds": 600}
    katib.tune("torch", "distributed", LR, trainer=trainer, retain_trials=True, **deadline, **BUDGET)
    assert waited(katib, "torch")["status"]["trialsSucceeded"] == 2
    name = katib.list_trials("torch")[0]["metadata"]["name"]
    job = api_server.client.get(objects.path("pytorchjobs", name, "/apis/kubeflow.org/v1"))
    assert job["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 2
    assert job["spec"]["runPolicy"]["activeDeadlineSeconds"] == 600
    assert objects.experiment("torch")["spec"]["trialTemplate"]["primaryPodLabels"] == {
        "training.kubeflow.org/job-role": "master"
    }


def test_whatever_tune_is_given_reaches_the_trial(katib, playing, controller, objects):
    katib.tune(
        "given",
        "distributed",
        LR,
        base_image="registry.example/base:1",
        packages_to_install=["tqdm==4.67.1"],
        pip_index_urls=["https://index.example/simple", "https://other.example/simple"],
        env=[{"name": "UNIT", "value": "s"}],
        env_from=["settings"],
        requirements={"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}},
        trial_active_deadline_seconds=600,
        retain_trials=True,
        **BUDGET,
    )
    waited(katib, "given")
    job = next(job for job in objects.jobs() if job["metadata"]["name"].startswith("given"))
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example/base:1"
    assert "--index-url https://index.example/simple --extra-index-url https://other.example/simple tqdm" in (
        " ".join(container["args"][0].split())
    )
    assert {"name": "UNIT", "value": "s"} in container["env"]
    assert container["envFrom"] == [{"configMapRef": {"name": "settings"}}]
    assert container["resources"] == {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}
    assert job["spec"]["activeDeadlineSeconds"] == 600


def test_tune_runs_a_language_model(katib, playing, controller, api_server, objects):
    rank = {"int": {"min": 4, "max": 16}}
    budget = {**BUDGET, "objective_metric_name": "train_loss", "objective_type": "minimize"}
    katib.tune_language_model("llm", LR["lr"], rank, **budget)
    waited(katib, "llm")
    assert api_server.client.get(objects.path("persistentvolumeclaims", "llm", "/api/v1"))
    best = katib.get_optimal_hyperparameters("llm")
    found = texts(best["parameterAssignments"])
    (loss,) = best["observation"]["metrics"]
    assert float(loss["min"]) == pytest.approx(float(found["learning_rate"]) * float(found["r"]))


def test_a_deleted_experiment_takes_what_it_had_along(katib, playing, controller, objects):
    for name, delete in (("gone", katib.delete_experiment), ("all", katib.delete_after_its_dependents)):
        katib.tune(name, "distributed", LR, retain_trials=True, **BUDGET)
        waited(katib, name)
        delete(name)
        eventually(lambda: not katib.list_trials(name))  # noqa: B023
        eventually(lambda: not [job for job in objects.jobs() if job["metadata"]["name"].startswith(name)])  # noqa: B023
        eventually(lambda: name not in names(katib.list_experiments()))  # noqa: B023
        with pytest.raises(Raised, match="Failed to get Katib Suggestion"):
            katib.get_suggestion(name)


def test_experiments_are_created_from_models_and_from_documents(katib, playing, controller, objects):
    katib.create_model(experiment("model", suspend=True))
    katib.create_experiment(experiment("plain", suspend=True))
    assert objects.experiment("plain")["spec"]["suspend"] is True
    # The model does not know what Katib does not.
    assert "suspend" not in objects.experiment("model")["spec"]
    with pytest.raises(Raised, match="already exists"):
        katib.create_experiment(experiment("plain"))


def test_what_cannot_run_is_refused_with_every_reason(katib, controller, objects):
    with pytest.raises(Raised) as raised:
        katib.tune("no-metric", "prints", {**SEARCH, "units": {"int": {"min": 9, "max": 8}}})
    assert raised.value.kind == "RuntimeError"
    assert "spec.objective.objectiveMetricName" in raised.value.cause
    assert "spec.parameters[1].feasibleSpace.min" in raised.value.cause
    with pytest.raises(Refused):
        objects.experiment("no-metric")
