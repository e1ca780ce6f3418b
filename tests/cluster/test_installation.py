"""katib-py as installed on a real node: the Dockerfile's image, the standalone manifests, and trainings that run.

All but the first experiments are created together, and each test waits for its own.
"""

import json

import pytest
from support.cluster import trainings
from support.cluster.controllers import eventually
from support.cluster.experiments import Objects, condition, last
from support.cluster.images import BASE
from support.cluster.installation import CORE, MAKES_VOLUMES, RESTRICTED, new_namespace

TEAM, OTHERS = "team-a", "team-b"
PARTS = {"katib-controller", "katib-suggestion", "katib-db-manager"}
SECONDS = 300  # until all that was created together has ended, on a busy machine
EXPLAINED_SECONDS = 30
SWEPT_SECONDS = 180
DONE = ("Succeeded", "ExperimentMaxTrialsReached")
ABSENT = "localhost/absent:tests"
COLLECTING = {document["metadata"]["name"]: document for document in trainings.collecting()}
STOPPING = {document["metadata"]["name"]: document for document in trainings.stopping_early()}
EVICTED = {"evicted": 0, "evicted-with-retries": 6}
BATCH, APPS = "/apis/batch/v1", "/apis/apps/v1"


@pytest.fixture(scope="module")
def before(installed):
    """What two namespaces have before any experiment is in them."""
    new_namespace(installed, TEAM)
    new_namespace(installed, OTHERS, **RESTRICTED)
    installed.apply(trainings.templates(TEAM), MAKES_VOLUMES)
    installed.configure(trainings.their_service(installed.shared_folder("kept")))
    return {name: installed.everything(name) for name in (TEAM, OTHERS)}


@pytest.fixture(scope="module")
def gates(installed):
    return installed.shared_folder("gates")


@pytest.fixture(scope="module")
def team(installed, gates, before):
    """The objects of a namespace in which all experiments were created."""
    objects = Objects(installed.client, TEAM)
    for document in (
        *(trainings.resuming(policy) for policy in ("Never", "LongRunning", "FromVolume")),
        *COLLECTING.values(),
        trainings.suspended(gates),
        *(trainings.evicted(name, gates, backoff) for name, backoff in EVICTED.items()),
        *STOPPING.values(),
        trainings.rolled_out(gates),
        trainings.reaching_its_goal(),
        *trainings.failing(),
        trainings.from_config_map(TEAM),
        trainings.retained(),
        trainings.endless(),
    ):
        objects.create(document)
    return objects


@pytest.fixture(scope="module")
def others(installed, team):
    """The objects of a namespace that enforces the restricted level."""
    objects = Objects(installed.client, OTHERS)
    objects.create(trainings.restricted())
    return objects


def trials(objects, name):
    """The trials of an experiment by their number in the grid."""
    labels = {"labelSelector": f"katib.kubeflow.org/experiment={name}"}
    found = objects.client.get(objects.path("trials"), **labels)["items"]
    return {trial["spec"]["parameterAssignments"][0]["value"]: trial for trial in found}


def of_experiment(objects, name, plural, group):
    """Its objects of another kind."""
    selector = f"katib.kubeflow.org/experiment={name}"
    return objects.client.get(objects.path(plural, group=group), labelSelector=selector)["items"]


def pods(objects, name):
    return of_experiment(objects, name, "pods", "/api/v1")


def running(objects, name):
    return [pod for pod in pods(objects, name) if pod["status"].get("phase") == "Running"]


def measured(trial):
    (metric,) = trial["status"]["observation"]["metrics"]
    return metric["latest"]


# The installation


def test_its_pods_are_not_root_in_a_namespace_that_enforces_the_restricted_level(installed):
    assert installed.client.get(f"/api/v1/namespaces/{CORE}")["metadata"]["labels"].items() >= RESTRICTED.items()
    for name in PARTS:
        assert installed.kubectl("exec", "-n", CORE, f"deployment/{name}", "--", "id", "-u") == "1000\n"


def test_its_network_policies_are_there(installed):
    listed = installed.kubectl("get", "networkpolicies", "-n", CORE, "-o", "name").split()
    assert {name.rpartition("/")[2] for name in listed} == PARTS


def test_kubectl_is_told_every_reason_and_shown_the_defaults(installed, before):
    create = ("create", "-n", TEAM, "--dry-run=server", "-o", "json", "-f", "-")
    sound, wrong = trainings.training("asked"), trainings.training("asked", maxTrialCount=0)
    wrong["spec"]["objective"]["type"] = "maximise"
    wrong["spec"]["algorithm"] = {"algorithmName": "gird"}
    spec = json.loads(installed.kubectl(*create, stdin=json.dumps(sound)))["spec"]
    assert spec["objective"]["metricStrategies"] == [{"name": "acc", "value": "max"}]
    assert spec["trialTemplate"]["successCondition"]
    complaint = installed.kubectl(*create, stdin=json.dumps(wrong), may_fail=True)
    assert "spec.objective.type" in complaint
    assert "spec.maxTrialCount" in complaint


def test_an_image_that_is_not_there_is_explained_in_time_and_the_trials_go_on_once_it_is(installed, before):
    objects = Objects(installed.client, TEAM)
    name = objects.create(trainings.without_image(ABSENT))["metadata"]["name"]
    reasons = {"ErrImagePull", "ImagePullBackOff"}

    def explained(document):
        waiting = condition(document, "Waiting")
        return waiting and waiting["reason"] in reasons and ABSENT in waiting["message"]

    eventually(lambda: explained(objects.experiment(name)), EXPLAINED_SECONDS)
    assert all(explained(trial) for trial in trials(objects, name).values())
    installed.node.tag(BASE, ABSENT)
    assert last(objects.ended(name, SECONDS)) == DONE
    assert not condition(objects.experiment(name), "Waiting")
    assert not [trial for trial in trials(objects, name).values() if condition(trial, "Waiting")]


# What is measured


@pytest.mark.parametrize("name", COLLECTING)
def test_every_kind_of_collector_measures(team, name):
    assert last(team.ended(name, SECONDS)) == DONE
    assert [measured(trial) for trial in trials(team, name).values()] == ["0.5", "0.5"]


def test_another_namespace_has_experiments_of_its_own_whose_pods_pass_the_restricted_level(others):
    assert last(others.ended("restricted", SECONDS)) == DONE
    assert {number: measured(trial) for number, trial in trials(others, "restricted").items()} == {
        "1": "0.1",
        "2": "0.2",
    }


def test_a_template_may_come_from_a_config_map(team):
    assert last(team.ended("config-map", SECONDS)) == DONE
    assert {measured(trial) for trial in trials(team, "config-map").values()} == {"0.1", "0.2"}


# How trials end


@pytest.mark.parametrize("name", STOPPING)
def test_a_hopeless_trial_is_stopped_early_and_keeps_what_it_measured(team, name):
    ended = team.ended(name, SECONDS)
    assert last(ended) == DONE
    assert (ended["status"]["trialsSucceeded"], ended["status"]["trialsEarlyStopped"]) == (2, 1)
    hopeless = trials(team, name)["1"]
    assert last(hopeless)[0] == "EarlyStopped"
    assert measured(hopeless) == "0.1"
    assert not pods(team, name)


def test_an_experiment_goes_on_after_a_trial_that_failed(team):
    ended = team.ended("one-fails", SECONDS)
    assert last(ended) == DONE
    assert (ended["status"]["trialsSucceeded"], ended["status"]["trialsFailed"]) == (2, 1)
    assert {number: last(trial)[0] for number, trial in trials(team, "one-fails").items()} == {
        "1": "Succeeded",
        "2": "Failed",
        "3": "Succeeded",
    }


def test_an_experiment_fails_with_the_trials_that_it_may_not_lose(team):
    assert last(team.ended("all-fail", SECONDS)) == ("Failed", "ExperimentFailed")


def test_a_reached_goal_ends_the_other_trials(team):
    ended = team.ended("goal", SECONDS)
    assert last(ended) == ("Succeeded", "ExperimentGoalReached")
    assert ended["status"]["currentOptimalTrial"]["observation"]["metrics"][0]["latest"] == "0.95"
    eventually(lambda: not pods(team, "goal"), SECONDS)
    assert [last(trials(team, "goal")[number])[0] for number in "123"] == ["Succeeded", "Killed", "Killed"]


def test_jobs_stay_only_where_they_are_retained(team):
    assert last(team.ended("retained", SECONDS)) == DONE
    assert len(of_experiment(team, "retained", "jobs", BATCH)) == 2
    assert last(team.ended("stdout", SECONDS)) == DONE
    eventually(lambda: not of_experiment(team, "stdout", "jobs", BATCH))


def test_a_suspended_experiment_has_no_pods_and_goes_on_later(team, gates):
    eventually(lambda: len(pods(team, "suspended")) == 2, SECONDS)
    team.edit("suspended", suspend=True)
    eventually(lambda: not pods(team, "suspended"))
    (gates / "suspended").touch()
    team.edit("suspended", suspend=False)
    ended = team.ended("suspended", SECONDS)
    assert last(ended) == DONE
    assert (ended["status"]["trials"], ended["status"]["trialsSucceeded"]) == (2, 2)


@pytest.mark.parametrize("name", EVICTED)
def test_a_trial_whose_pod_is_evicted_runs_again_and_has_not_failed(team, gates, name):
    (pod,) = eventually(lambda: running(team, name), SECONDS)
    metadata = {key: pod["metadata"][key] for key in ("name", "namespace")}
    team.client.post(team.path("pods", f"{metadata['name']}/eviction", "/api/v1"), {"metadata": metadata})
    eventually(lambda: all(trial["status"].get("attempt") == 2 for trial in trials(team, name).values()), SECONDS)
    (gates / name).touch()
    ended = team.ended(name, SECONDS)
    assert last(ended) == DONE
    assert ended["status"]["trialsSucceeded"] == 1


# Services of one's own, and what a resume policy makes of them


def theirs(objects, name):
    """The Deployments and Services of an experiment's own algorithm."""
    found = []
    for plural, group in (("deployments", APPS), ("services", "/api/v1")):
        items = objects.client.get(objects.path(plural, group=group))["items"]
        found += [item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith(f"{name}-")]
    return found


def test_an_experiment_that_never_resumes_gives_its_service_back(installed, team):
    assert last(team.ended("never", SECONDS)) == DONE
    eventually(lambda: not theirs(team, "never"))
    more = '{"spec": {"maxTrialCount": 2}}'
    complaint = installed.kubectl("patch", "experiment", "never", "-n", TEAM, "--type=merge", "-p", more, may_fail=True)
    assert "spec.resumePolicy" in complaint


def test_a_long_running_experiment_keeps_its_service_and_goes_on_with_it(team):
    assert last(team.ended("longrunning", SECONDS)) == DONE
    assert len(theirs(team, "longrunning")) == 2
    goes_on(team, "longrunning")


def test_an_experiment_resumes_from_its_volume_with_a_new_service(team):
    assert last(team.ended("fromvolume", SECONDS)) == DONE
    eventually(lambda: not theirs(team, "fromvolume"))
    claim = team.client.get(team.path("persistentvolumeclaims", "fromvolume-sobol", "/api/v1"))
    assert claim["status"]["phase"] == "Bound"
    goes_on(team, "fromvolume")


def goes_on(objects, name):
    objects.edit(name, maxTrialCount=2)
    eventually(lambda: objects.experiment(name)["status"].get("trialsSucceeded") == 2, SECONDS)
    assert last(objects.ended(name)) == DONE


# In the end


def test_its_parts_are_rolled_out_anew_while_trials_run(installed, team, gates):
    eventually(lambda: len(running(team, "rolled-out")) == 2, SECONDS)
    assert list(troubles(installed)) == []
    installed.kubectl("rollout", "restart", "deployment", "-n", CORE)
    for name in PARTS:
        installed.kubectl("rollout", "status", f"deployment/{name}", "-n", CORE, f"--timeout={SECONDS}s")
    (gates / "rolled-out").touch()
    assert last(team.ended("rolled-out", SECONDS)) == DONE
    assert [measured(trial) for trial in trials(team, "rolled-out").values()] == ["0.5", "0.5"]
    assert not any(trial["status"].get("attempt") for trial in trials(team, "rolled-out").values())


def test_prometheus_is_told_what_happened(installed, team):
    counted = f'katib_experiment_succeeded_total{{namespace="{TEAM}"}}'
    lines = installed.page("katib-controller", 8080, "metrics").splitlines()
    assert [line for line in lines if line.startswith(counted)]


def test_nothing_is_left_of_experiments_that_were_deleted_be_it_while_they_ran(installed, team, others, before):
    assert pods(team, "endless")
    assert installed.measured()
    for name in before:
        installed.kubectl("delete", "experiments", "--all", "-n", name)
    for name, there in before.items():
        eventually(lambda name=name, there=there: installed.everything(name) == there, SECONDS)
    eventually(lambda: not installed.measured(), SWEPT_SECONDS)


def test_its_programs_had_no_trouble(installed, team):
    assert list(troubles(installed)) == []


def troubles(installed):
    """The restarts of its pods, and the errors that they have logged."""
    for pod in installed.client.get(f"/api/v1/namespaces/{CORE}/pods")["items"]:
        name = pod["metadata"]["name"]
        yield from (name for status in pod["status"]["containerStatuses"] if status["restartCount"])
        said = installed.kubectl("logs", "-n", CORE, name).splitlines()
        yield from (line for line in said if "Traceback" in line or " ERROR " in line)
