"""The official budget edit: the whole object, read and sent back with its resourceVersion, never tried again."""

from pathlib import Path

import pytest
import yaml
from support.clients.remote import Raised
from support.cluster.admitting import admitting
from support.cluster.beside import beside
from support.cluster.client import Refused
from support.cluster.controllers import eventually
from support.cluster.experiments import JOB, experiment, last
from support.cluster.played import PlayedJobs, lasts
from support.cluster.pushing import Pushing

EXAMPLES = Path(__file__).parents[3] / "examples"
# Keys that Katib does not know, some of which are yet to mean something here.
EXTENSIONS = {
    "suspend": True,
    "maxDurationSeconds": 3600,
    "stopWhen": {"trialsWithoutImprovement": 5},
    "objective": {"type": "maximize", "objectiveMetricName": "acc", "additionalMetricNames": ["size"]},
    "parameters": [
        {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.001", "max": "0.1"}},
        {"name": "opt", "parameterType": "categorical", "feasibleSpace": {"list": ["sgd", "adam"]}},
    ],
    "trialTemplate": {
        "trialParameters": [{"name": "rate", "reference": "lr"}, {"name": "opt", "reference": "opt"}],
        "trialSpec": {**JOB, "metadata": {"labels": {"opt": "${trialParameters.opt}"}}},
    },
    "parameterConditions": {"lr": {"parent": "opt", "values": ["sgd"], "default": "0.1"}},
    "parameterConstraints": ["lr < 0.05"],
    "outcomeConstraints": [{"metricName": "size", "atMost": 10.5}],
    "warmStart": ["earlier"],
    "initialAssignments": [{"lr": "0.01", "opt": "sgd"}],
    "trialHistoryLimit": 100,
    "checkpointURI": "s3://bucket/folder",
}
COUNTERS = ("maxTrialCount", "parallelTrialCount", "maxFailedTrialCount")


@pytest.fixture(scope="module")
def controller(api_server, crds, namespace, folder):
    with admitting(api_server, folder / "controller", namespace) as process:
        yield process


@pytest.fixture(scope="module")
def pushing(api_server, namespace):
    """Jobs that last a moment and push their metric."""

    async def enter(stack):
        act = Pushing(then=lasts(0.3))
        await stack.enter_async_context(PlayedJobs(api_server.kubeconfig, act, namespace))

    with beside(enter):
        yield


def without_counters(document):
    return {key: value for key, value in document["spec"].items() if key not in COUNTERS}


def examples():
    for path in sorted(EXAMPLES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == "Experiment":
                yield document


BOTH = [{"type": "maximize", "objectiveMetricName": "acc"}, {"type": "minimize", "objectiveMetricName": "size"}]


@pytest.mark.parametrize(
    "more", [{"confirm": {"top": 2, "repeats": 4}}, {"objectives": BOTH}], ids=lambda more: next(iter(more))
)
def test_an_edit_leaves_whole_what_it_does_not_know(objects, katib, controller, more):
    name = f"extended-{next(iter(more))}"
    before = objects.create(experiment(name, **EXTENSIONS, **more))
    for key in {**EXTENSIONS, **more}.keys() - {"objective", "parameters", "trialTemplate"}:
        assert before["spec"][key] == {**EXTENSIONS, **more}[key]
    katib.edit_experiment_budget(name, max_trial_count=9, parallel_trial_count=3, max_failed_trial_count=4)
    after = objects.experiment(name)
    assert without_counters(after) == without_counters(before)
    assert [after["spec"][counter] for counter in COUNTERS] == [9, 3, 4]
    assert after["status"]["conditions"]


def test_an_edit_of_any_example_is_taken(objects, katib, controller):
    documents = list(examples())
    for document in documents:
        name = document["metadata"]["name"]
        spec = {**document["spec"], "suspend": True}
        metadata = {"name": name, "labels": document["metadata"].get("labels", {})}
        before = objects.create({**document, "metadata": metadata, "spec": spec})
        katib.edit_experiment_budget(name, parallel_trial_count=1)
        after = objects.experiment(name)
        assert without_counters(after) == without_counters(before), name
        assert after["spec"]["parallelTrialCount"] == 1
        katib.delete_experiment(name)
    assert len(documents) > 20


def test_an_edit_that_makes_a_number_text_is_taken(objects, katib, controller):
    container = {"name": "collector", "image": "c:1", "resources": {"limits": {"cpu": 1, "memory": "64Mi"}}}
    source = {"fileSystemPath": {"path": "/var/log/metrics.json", "kind": "File"}}
    collecting = {"collector": {"kind": "Custom", "customCollector": container}, "source": source}
    objects.create(experiment("collecting", suspend=True, metricsCollectorSpec=collecting))
    katib.edit_experiment_budget("collecting", parallel_trial_count=1)
    collector = objects.experiment("collecting")["spec"]["metricsCollectorSpec"]["collector"]["customCollector"]
    assert collector["resources"]["limits"] == {"cpu": "1", "memory": "64Mi"}


def test_a_hundred_edits_during_a_run_are_taken_and_it_goes_on_counting(objects, katib, controller, pushing):
    objects.create(experiment("edited", maxTrialCount=1000))
    eventually(lambda: objects.experiment("edited").get("status", {}).get("trialsSucceeded"))
    done = []
    for number in range(100):
        katib.edit_experiment_budget("edited", max_trial_count=1001 + number, parallel_trial_count=2 + number % 3)
        done.append(objects.experiment("edited")["status"]["trialsSucceeded"])
    assert done == sorted(done)
    assert done[-1] > done[0]
    trials = objects.experiment("edited")["status"]["trials"]
    katib.edit_experiment_budget("edited", max_trial_count=trials + 40)
    ended = objects.ended("edited")
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    assert ended["status"]["trials"] == ended["status"]["trialsSucceeded"] == trials + 40
    assert len(katib.list_trials("edited")) == trials + 40


def test_a_larger_budget_restarts_an_experiment(objects, katib, controller, pushing):
    objects.create(experiment("longer", maxTrialCount=2, resumePolicy="LongRunning"))
    objects.ended("longer")
    with pytest.raises(Raised) as raised:
        katib.edit_experiment_budget("longer", max_trial_count=1, parallel_trial_count=1)
    assert "spec.maxTrialCount" in raised.value.cause
    katib.edit_experiment_budget("longer", max_trial_count=200)
    eventually(lambda: katib.is_experiment_restarting("longer"))
    katib.wait_for_experiment_condition("longer", expected_condition="Running", timeout=30, polling_interval=1)
    trials = objects.experiment("longer")["status"]["trials"]
    katib.edit_experiment_budget("longer", max_trial_count=trials + 30)
    eventually(lambda: objects.experiment("longer")["status"]["trials"] == trials + 30)
    katib.wait_for_experiment_condition("longer", timeout=30, polling_interval=1)


def test_what_a_budget_edit_may_not_change_stays_refused(objects, katib, controller, pushing):
    objects.create(experiment("never", maxTrialCount=2))
    objects.ended("never")
    with pytest.raises(Raised) as raised:
        katib.edit_experiment_budget("never", max_trial_count=4)
    assert "spec.resumePolicy" in raised.value.cause
    with pytest.raises(Raised, match="max_trial_count, parallel_trial_count, or max_failed_trial_count"):
        katib.edit_experiment_budget("never")


def test_who_read_before_another_edit_is_refused(api_server, objects, controller):
    """Only a status that was written since may be overlooked."""
    objects.create(experiment("locked", suspend=True))
    path = objects.path("experiments", "locked")
    read = eventually(lambda: (found := objects.experiment("locked")).get("status") and found)
    statuses = [{"trials": number} for number in (5, 6)]

    def edited(document, **spec):
        return {**document, "spec": {**document["spec"], **spec}}

    api_server.client.patch(f"{path}/status", {"status": statuses[0]})
    assert api_server.client.patch(path, edited(read, maxTrialCount=8))["spec"]["maxTrialCount"] == 8
    for stale in (edited(read, maxTrialCount=9), {"metadata": read["metadata"], "spec": {"maxTrialCount": 9}}):
        with pytest.raises(Refused, match="409"):
            api_server.client.patch(path, stale)
    now = objects.experiment("locked")
    api_server.client.patch(f"{path}/status", {"status": statuses[1]})
    version = {"metadata": {"resourceVersion": now["metadata"]["resourceVersion"]}}
    with pytest.raises(Refused, match="409"):  # it may have been meant as a condition on the status
        api_server.client.patch(path, {**version, "spec": {"maxTrialCount": 9}})
    assert api_server.client.put(path, edited(now, maxTrialCount=9))["spec"]["maxTrialCount"] == 9
