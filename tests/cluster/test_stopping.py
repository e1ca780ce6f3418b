"""A run is stopped with its last words read and nothing of it left; one that has ended by itself keeps its verdict."""

import asyncio

import pytest
from support.cluster.experiments import condition, last
from support.cluster.gate import Gate
from support.cluster.played_kinds import KINDS
from support.cluster.stage import Stage, observed

JOB = KINDS["Job"]


@pytest.fixture
async def stage(api_server, shared_namespace, shared_controller):
    async with Stage(api_server, shared_namespace, last_words="acc=0.7") as stage:
        yield stage


@pytest.fixture(params=[True, False], ids=["kept", "deleted"])
def kept(request):
    return request.param


def stopped(run):
    return run["spec"].get("suspend") is True


async def left_of(stage, trial):
    """The run objects and pods that a trial has left, once the objects of the finished ones have been deleted."""
    name = trial["metadata"]["name"]
    runs = [run for run in await stage.runs(JOB) if run["metadata"]["name"] == name]
    pods = (await stage.client.get(f"/api/v1/namespaces/{stage.namespace}/pods"))["items"]
    return runs, [pod for pod in pods if pod["metadata"]["name"].startswith(name)]


async def runs_for_ever(stage, operator, run, *lines):
    await operator.set(run, "Running")
    return await stage.speak(operator, run, *lines)


async def test_a_trial_is_stopped_early_with_its_last_words(stage, kept):
    name = f"early-{kept}".lower()

    async def act(operator, run):
        """The first trial is good; the second, worse at each of its steps, is stopped by the median."""
        good = not [trial for trial in await stage.trials(name) if condition(trial, "Succeeded")]
        pod = await runs_for_ever(stage, operator, run, *[f"acc={0.9 if good else 0.1}"] * 3)
        if good:
            await stage.node.end_pod(pod)
            await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create(name, live=True, maxTrialCount=2, trialTemplate={"retain": kept})
    await stage.waits.ended(name)
    (trial,) = [trial for trial in await stage.trials(name) if condition(trial, "EarlyStopped")]
    assert last(trial) == ("EarlyStopped", "TrialEarlyStopped")
    assert observed(trial) == ("0.1", "0.7")
    runs, pods = await left_of(stage, trial)
    assert [stopped(run) for run in runs] == [True] * kept
    assert not pods


async def test_a_reached_goal_ends_the_other_runs(stage, kept):
    name = f"goal-{kept}".lower()
    pods = []

    async def act(operator, run):
        pods.append(await runs_for_ever(stage, operator, run, "acc=0.5"))
        if len(pods) == 2:
            stage.say(pods[0], "acc=0.99")
            await stage.node.end_pod(pods[0])
            await operator.set(await stage.run_of(pods[0]), "Succeeded")

    await stage.play(act)
    objective = {"type": "maximize", "objectiveMetricName": "acc", "goal": 0.95}
    limits = {"maxTrialCount": 5, "parallelTrialCount": 2}
    await stage.create(name, objective=objective, trialTemplate={"retain": kept}, **limits)
    ended = await stage.waits.ended(name)
    assert last(ended) == ("Succeeded", "ExperimentGoalReached")
    trial = await stage.finished(name, "Killed")
    assert observed(trial) == ("0.5", "0.7")
    runs, pods = await left_of(stage, trial)
    assert [stopped(run) for run in runs] == [True] * kept
    assert not pods


async def test_a_suspended_experiment_has_no_run_and_goes_on_with_new_attempts(stage, kept):
    name = f"paused-{kept}".lower()
    uids = []

    async def act(operator, run):
        uids.append(run["metadata"]["uid"])
        again = len(uids) == 2
        pod = await runs_for_ever(stage, operator, run, "acc=0.5" if again else "acc=0.9")
        if again:
            await stage.node.end_pod(pod)
            await operator.set(run, "Succeeded")

    await stage.play(act)
    path = stage.waits.path("experiments", name)
    await stage.create(name, live=True, trialTemplate={"retain": kept})
    await stage.running(name)
    await stage.client.patch(path, {"spec": {"suspend": True}})
    trial = await stage.having(name, lambda trial: trial["status"].get("attempt") == 2)
    assert last(trial) == ("Created", "TrialCreated")
    runs, pods = await left_of(stage, trial)
    assert [stopped(run) for run in runs] == [True] * kept
    assert not pods
    await asyncio.sleep(2)  # nothing begins meanwhile
    assert len(uids) == 1
    await stage.client.patch(path, {"spec": {"suspend": False}})
    trial = await stage.finished(name)
    assert last(trial)[0] == "Succeeded"
    assert observed(trial) == ("0.5", "0.5")
    assert trial["status"]["attempt"] == 2
    assert len(set(uids)) == (1 if kept else 2)


@pytest.mark.parametrize(("word", "state"), [("Succeeded", "Succeeded"), ("Failed", "Killed")])
async def test_of_a_run_that_ends_while_it_is_stopped_only_success_counts(stage, word, state):
    """If it fails then, it is because it was told to end."""
    name = f"meanwhile-{word}".lower()
    operator = None

    async def end_it(request):
        await operator.set(request["oldObject"], word)

    async def act(operator, run):
        await runs_for_ever(stage, operator, run, "acc=0.5")
        await stage.client.patch(stage.waits.path("experiments", name), {"spec": {"maxDurationSeconds": 1}})

    operator = await stage.play(act)
    async with Gate(stage.server.kubeconfig, stage.namespace, end_it, "batch/v1/jobs", "DELETE"):
        await stage.create(name, maxTrialCount=2)
        await stage.waits.ended(name)
        trial = await stage.finished(name)
    assert last(trial)[0] == state
    assert observed(trial)[0] == "0.5"


async def test_a_stopped_trial_has_not_ended_before_its_pods_have(api_server, shared_namespace, shared_controller):
    async with Stage(api_server, shared_namespace, last_words="acc=0.7", grace=3) as stage:

        async def act(operator, run):
            await runs_for_ever(stage, operator, run, "acc=0.5")
            await stage.client.patch(stage.waits.path("experiments", "slow"), {"spec": {"maxDurationSeconds": 1}})

        await stage.play(act)
        await stage.create("slow", maxTrialCount=2)
        trial = await stage.finished("slow")
        assert await left_of(stage, trial) == ([], [])
        assert observed(trial) == ("0.5", "0.7")


async def test_what_waits_for_a_place_in_the_cluster_is_stopped_as_well(stage):
    async def act(operator, run):
        await operator.set(run, "Running")

    await stage.play(act)
    await stage.create("nowhere", trialTemplate={"trialSpec": {**JOB.run, "spec": {**JOB.spec, "suspend": True}}})
    await stage.waits.told("nowhere", "Suspended")
    await stage.client.patch(stage.waits.path("experiments", "nowhere"), {"spec": {"maxDurationSeconds": 1}})
    assert last(await stage.finished("nowhere"))[0] == "Killed"
