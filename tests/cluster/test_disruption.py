"""What the cluster does to a run is a new attempt of its trial; what was measured before does not count."""

import asyncio

import pytest
from support.cluster.experiments import last
from support.cluster.kind_definitions import define
from support.cluster.played_kinds import KINDS
from support.cluster.stage import Stage, moment, observed

JOB, PYTORCH = KINDS["Job"], KINDS["PyTorchJob"]
QUEUE = "kueue.x-k8s.io/queue-name"


@pytest.fixture
async def stage(api_server, shared_namespace, shared_controller):
    define(api_server.client, PYTORCH)
    async with Stage(api_server, shared_namespace) as stage:
        yield stage


def counted(trial):
    return tuple(trial["status"].get(key) for key in ("attempt", "retries", "disruptions"))


@pytest.mark.parametrize("live", [False, True])
async def test_a_job_whose_pod_is_disrupted_goes_on_as_another_attempt(stage, live):
    name = f"disrupted-{live}".lower()

    async def act(operator, run):
        await operator.set(run, "Running")
        first = await stage.speak(operator, run, "acc=0.9")
        await moment()
        await stage.disrupt(operator, first)
        second = await stage.speak(operator, run, "acc=0.5")
        await stage.running(name, attempt=2)
        await stage.node.end_pod(second)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create(name, live=live)
    trial = await stage.finished(name)
    assert (last(trial)[0], counted(trial)) == ("Succeeded", (2, None, None))
    assert observed(trial) == ("0.5", "0.5")


async def test_a_job_of_which_kubernetes_would_count_disruptions_is_made_not_to(stage):
    seen = []

    async def act(operator, run):
        seen.append(run["spec"])
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("forgiving", collector="Push")
    await stage.finished("forgiving")
    (rule,) = seen[0]["podFailurePolicy"]["rules"]
    assert rule["action"] == "Ignore"
    assert rule["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]


@pytest.mark.parametrize("live", [False, True])
async def test_a_retry_that_the_back_off_limit_allows_is_another_attempt(stage, live):
    name = f"retried-{live}".lower()

    async def act(operator, run):
        await operator.set(run, "Running")
        first = await stage.speak(operator, run, "acc=0.9")
        await moment()
        await stage.node.end_pod(first, 1)
        await asyncio.sleep(1)  # a job controller waits longer
        second = await stage.speak(operator, run, "acc=0.5")
        await stage.running(name, attempt=2)
        await stage.node.end_pod(second)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create(name, live=live)
    trial = await stage.finished(name)
    assert (last(trial)[0], counted(trial)) == ("Succeeded", (2, 1, None))
    assert observed(trial) == ("0.5", "0.5")


async def test_a_container_that_is_run_again_in_its_pod_is_another_attempt(stage):
    async def act(operator, run):
        await operator.set(run, "Running")
        pod = await stage.speak(operator, run, "acc=0.9")
        await moment()
        await stage.node.restart(pod)
        stage.say(pod, "acc=0.5")
        await stage.running("restarted", attempt=2)
        await stage.node.end_pod(pod, restarts=1)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("restarted", live=True)
    trial = await stage.finished("restarted")
    assert (last(trial)[0], counted(trial)) == ("Succeeded", (2, 1, None))
    assert observed(trial) == ("0.5", "0.5")


async def test_a_run_of_another_kind_that_a_disruption_failed_is_made_again_under_its_name(stage):
    uids = []

    async def act(operator, run):
        uids.append(run["metadata"]["uid"])
        await operator.set(run, "Running")
        pod, _ = await operator.pods(run)
        await stage.node.run(pod)
        stage.say(pod, "acc=0.9" if len(uids) == 1 else "acc=0.5")
        await moment()
        if len(uids) == 1:
            await stage.disrupt(operator, pod)
            await operator.set(run, "Failed")
        else:
            await stage.node.end_pod(pod)
            await operator.set(run, "Succeeded")

    await stage.play(act, PYTORCH)
    await stage.create("evicted", PYTORCH, live=True)
    trial = await stage.finished("evicted")
    assert (last(trial)[0], counted(trial)) == ("Succeeded", (2, None, None))
    assert observed(trial) == ("0.5", "0.5")
    assert len(set(uids)) == 2


async def test_a_run_that_somebody_deletes_gets_one_more_attempt(stage):
    deleted = []

    async def act(operator, run):
        await operator.set(run, "Running")
        name = run["metadata"]["name"]
        if deleted:
            await operator.set(run, "Succeeded")
        await stage.running("deleted")
        deleted.append(name)
        await stage.client.delete(JOB.path(stage.namespace, name), propagationPolicy="Background")

    await stage.play(act)
    await stage.create("deleted", collector="Push")
    trial = await stage.finished("deleted")
    assert counted(trial) == (2, None, 1)
    assert last(trial)[0] == "MetricsUnavailable"  # it pushes none, but it has ended


async def test_a_run_that_is_deleted_again_has_failed(stage):
    async def act(operator, run):
        await operator.set(run, "Running")
        await stage.running("vanishing")
        await stage.client.delete(JOB.path(stage.namespace, run["metadata"]["name"]), propagationPolicy="Background")

    await stage.play(act)
    await stage.create("vanishing", collector="Push")
    trial = await stage.finished("vanishing")
    assert last(trial) == ("Failed", "TrialFailed. Job reason: RunVanished")


async def test_a_run_that_kueue_preempts_goes_on_as_another_attempt(stage):
    pods = []

    async def act(operator, run):
        await operator.set(run, "Running")
        pod = await stage.speak(operator, run, "acc=0.5" if pods else "acc=0.9")
        pods.append(pod)
        await moment()
        if len(pods) == 1:
            await stage.client.patch(JOB.path(stage.namespace, run["metadata"]["name"]), {"spec": {"suspend": True}})
            return
        await stage.running("preempted", attempt=2)
        await stage.node.end_pod(pod)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("preempted", live=True, trialTemplate={"trialSpec": with_queue(JOB.run)})
    await stage.waits.told("preempted", "Suspended")
    (run,) = [run for run in await stage.runs(JOB) if run["metadata"]["name"].startswith("preempted-")]
    await stage.client.patch(JOB.path(stage.namespace, run["metadata"]["name"]), {"spec": {"suspend": False}})
    trial = await stage.finished("preempted")
    assert (last(trial)[0], counted(trial)) == ("Succeeded", (2, None, None))
    assert observed(trial) == ("0.5", "0.5")


def with_queue(run):
    return {**run, "metadata": {"labels": {QUEUE: "team-a"}}}
