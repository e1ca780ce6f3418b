"""What others do to an experiment's objects while it runs."""

import asyncio

import pytest
from support.cluster.client import Refused
from support.cluster.controllers import eventually
from support.cluster.experiments import condition, experiment, last
from support.cluster.played import PlayedJobs
from support.cluster.pushing import Pushing

POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"


class Held(Pushing):
    """Programs that end once the test lets them; `runs` are the trials that ran, each as often as it did."""

    def __init__(self):
        super().__init__()
        self.released, self.runs = asyncio.Event(), []

    async def __call__(self, played, job):
        self.runs.append(job["metadata"]["name"])
        await played.start(job)
        await self.released.wait()
        await super().__call__(played, job)


@pytest.fixture
def held():
    return Held()


@pytest.fixture
async def jobs(api_server, namespace, controller, held):
    async with PlayedJobs(api_server.kubeconfig, act=held, namespace=namespace) as played:
        yield played


async def when(look):
    return await asyncio.to_thread(eventually, look)


async def finished(objects, held, name="demo"):
    """The experiment once it has ended, its programs being let go."""
    held.released.set()
    return await asyncio.to_thread(objects.ended, name)


def running(objects, count):
    return lambda: len([trial for trial in objects.trials() if last(trial)[0] == "Running"]) == count


async def test_a_trial_that_was_deleted_is_made_and_run_again(objects, jobs, held):
    objects.create(experiment(maxTrialCount=4, parallelTrialCount=2))
    await when(running(objects, 2))
    victim = objects.trials()[0]["metadata"]
    objects.client.delete(objects.path("trials", victim["name"]))
    again = await when(lambda: [one for one in objects.trials() if one["metadata"]["name"] == victim["name"]])
    assert again[0]["metadata"]["uid"] != victim["uid"]
    ended = await finished(objects, held)
    assert (ended["status"]["trials"], ended["status"]["trialsSucceeded"]) == (4, 4)
    assert len(objects.trials()) == 4
    assert sorted(held.runs) == sorted([*{*held.runs}, victim["name"]])


async def test_a_suggestion_that_was_deleted_is_made_again_and_counts_on(objects, jobs, held):
    objects.create(experiment(maxTrialCount=12, parallelTrialCount=2))
    await when(running(objects, 2))
    objects.client.delete(objects.path("suggestions", "demo"))
    ended = await finished(objects, held)
    assert ended["status"]["trialsSucceeded"] == len(objects.trials()) == len(held.runs) == 12
    suggestion = objects.client.get(objects.path("suggestions", "demo"))
    assert suggestion["status"]["suggestionCount"] >= 12


async def test_a_deleted_experiment_goes_with_all_that_it_had(objects, jobs, held):
    objects.create(experiment())
    await when(running(objects, 2))
    objects.client.delete(objects.path("experiments", "demo"))
    await when(lambda: not objects.trials() and not objects.jobs())


async def test_an_experiment_made_at_once_in_the_place_of_a_deleted_one_runs_as_its_own(objects, jobs, held):
    objects.create(experiment(maxTrialCount=4))
    await when(running(objects, 2))
    earlier = {trial["metadata"]["uid"] for trial in objects.trials()}
    objects.client.delete(objects.path("experiments", "demo"))
    created = objects.create(experiment(maxTrialCount=3))
    ended = await finished(objects, held)
    assert ended["metadata"]["uid"] == created["metadata"]["uid"]
    assert ended["status"]["trialsSucceeded"] == 3
    await when(lambda: len(objects.trials()) == 3)
    assert not earlier & {trial["metadata"]["uid"] for trial in objects.trials()}


async def test_what_an_earlier_experiment_of_the_name_has_left_is_waited_for_or_passed_over(objects, jobs, held):
    objects.create(experiment())
    await when(running(objects, 2))
    old = [objects.path("trials", objects.trials()[0]["metadata"]["name"]), objects.path("suggestions", "demo")]
    for path in old:
        objects.client.patch(path, {"metadata": {"finalizers": ["tests/held"]}})
    objects.client.delete(objects.path("experiments", "demo"))
    objects.create(experiment(maxTrialCount=3))
    waiting = await when(lambda: condition(objects.experiment(), "Waiting"))
    assert "earlier experiment" in waiting["message"]
    objects.client.patch(old[1], {"metadata": {"finalizers": None}})
    ended = await finished(objects, held)
    assert ended["status"]["trials"] == 3
    assert condition(ended, "Waiting") is None
    objects.client.patch(old[0], {"metadata": {"finalizers": None}})


@pytest.fixture
def refusing(api_server, namespace):
    """Trials are refused in the test's namespace, until the test lifts that."""
    rule = {"apiGroups": ["kubeflow.org"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["trials"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
        "validations": [{"expression": "false", "message": "no trials on Sundays"}],
    }
    name = f"refusing-{namespace}"
    api_server.client.post(POLICIES, {"metadata": {"name": name}, "spec": policy})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    api_server.client.post(BINDINGS, {"metadata": {"name": name}, "spec": binding})

    def lift():
        api_server.client.delete(f"{BINDINGS}/{name}")
        api_server.client.delete(f"{POLICIES}/{name}")

    eventually(lambda: refused(api_server.client, namespace))
    return lift


def refused(client, namespace):
    """Whether the policy is in force, which takes the API server a moment."""
    path = f"/apis/kubeflow.org/v1beta1/namespaces/{namespace}/trials"
    try:
        client.post(path, {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {"name": "probe"}})
    except Refused as problem:
        return "Sundays" in str(problem)
    client.delete(f"{path}/probe")
    return False


async def test_why_trials_are_refused_is_said_until_they_are_not(refusing, objects, jobs, held):
    objects.create(experiment())
    waiting = await when(lambda: condition(objects.experiment(), "Waiting"))
    assert "no trials on Sundays" in waiting["message"]
    refusing()
    ended = await finished(objects, held)
    assert ended["status"]["trialsSucceeded"] == 3
    assert condition(ended, "Waiting") is None
