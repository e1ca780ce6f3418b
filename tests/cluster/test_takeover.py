"""A controller is killed at the worst moments: nothing is run twice, nothing is lost, nothing is left behind."""

import asyncio

import pytest
from support.cluster.experiments import condition, last
from support.cluster.gate import Gate
from support.cluster.played_kinds import KINDS
from support.cluster.stage import Stage, observed
from support.cluster.waits import until

JOB = KINDS["Job"]
JOBS, STATUSES = "batch/v1/jobs", "kubeflow.org/v1beta1/trials/status"


@pytest.fixture
async def stage(api_server, shared_namespace, shared_controller):
    async with Stage(api_server, shared_namespace, last_words="acc=0.7") as stage:
        yield stage


class Moment:
    """The first write of which `holds` is true is the last thing that the controller does; it may go through or not."""

    def __init__(self, stage, controller, resource, operation, holds=lambda request: True, passes=False):
        self._controller, self._holds, self._passes = controller, holds, passes
        self._gate = Gate(stage.server.kubeconfig, stage.namespace, self._judge, resource, operation)
        self._come = asyncio.Event()

    async def __aenter__(self):
        await self._gate.__aenter__()
        return self

    async def __aexit__(self, *problem):
        await self._gate.__aexit__(*problem)

    async def come(self):
        """Wait for it, and start the controller again."""
        async with asyncio.timeout(60):
            await self._come.wait()
        await asyncio.to_thread(self._controller.start)

    def _judge(self, request):
        if self._come.is_set() or not self._holds(request):
            return None
        self._controller.kill()
        self._come.set()
        return None if self._passes else "the controller was killed before"


class Runs:
    """An act: each run prints its metric and ends, unless it is to last; every run object is counted."""

    def __init__(self, stage, lasts=False):
        self.uids = []
        self._stage, self._lasts = stage, lasts

    async def __call__(self, operator, run):
        self.uids.append(run["metadata"]["uid"])
        await operator.set(run, "Running")
        pod = await self._stage.speak(operator, run, "acc=0.5")
        if not self._lasts:
            await self._stage.node.end_pod(pod)
            await operator.set(run, "Succeeded")


def concluded(request):
    return bool(request["object"].get("status", {}).get("completionTime"))


MOMENTS = {
    "before-it-is-made": (JOBS, "CREATE", None, False),
    "once-it-is-made": (JOBS, "CREATE", None, True),
    "before-its-end-is-written": (STATUSES, "UPDATE", concluded, False),
    "once-its-end-is-written": (STATUSES, "UPDATE", concluded, True),
    "before-it-is-deleted": (JOBS, "DELETE", None, False),
}


@pytest.mark.parametrize("name", MOMENTS)
async def test_a_run_goes_on_under_another_controller(stage, shared_controller, name):
    resource, operation, holds, passes = MOMENTS[name]
    runs = Runs(stage)
    await stage.play(runs)
    async with Moment(stage, shared_controller, resource, operation, holds or (lambda request: True), passes) as moment:
        await stage.create(name)
        await moment.come()
        await stage.waits.ended(name)
    trial = await stage.finished(name)
    assert last(trial)[0] == "Succeeded"
    assert observed(trial) == ("0.5", "0.5")
    assert "attempt" not in trial["status"]
    assert len(set(runs.uids)) == 1
    await swept(stage, trial)


# A request whose sender dies is not carried out; the pods are deleted by others, once the run object may go.
STOPS = {"not-deleted": (JOBS, "DELETE", False, "0.7"), "deleted": ("/v1/pods", "DELETE", True, "0.5")}


@pytest.mark.parametrize("name", STOPS)
async def test_a_stop_is_brought_to_its_end_by_another_controller(stage, shared_controller, name):
    resource, operation, passes, last_heard = STOPS[name]
    runs = Runs(stage, lasts=True)
    await stage.play(runs)
    await stage.create(name, live=True, maxTrialCount=2)
    await stage.running(name)
    async with Moment(stage, shared_controller, resource, operation, passes=passes) as moment:
        await asyncio.sleep(1)  # its first words are heard
        await stage.client.patch(stage.waits.path("experiments", name), {"spec": {"maxDurationSeconds": 1}})
        await moment.come()
        trial = await stage.finished(name)
    assert last(trial)[0] == "Killed"
    assert observed(trial) == ("0.5", last_heard)
    assert len(set(runs.uids)) == 1
    await swept(stage, trial)


async def test_what_is_suspended_stays_so_under_another_controller(stage, shared_controller):
    runs = Runs(stage, lasts=True)
    await stage.play(runs)
    path = stage.waits.path("experiments", "asleep")
    await stage.create("asleep", trialTemplate={"retain": True})
    await stage.running("asleep")
    await stage.client.patch(path, {"spec": {"suspend": True}})
    await stage.having("asleep", lambda trial: trial["status"].get("attempt") == 2)
    shared_controller.kill()
    await asyncio.to_thread(shared_controller.start)
    await asyncio.sleep(2)
    trial = await stage.waits.trial("asleep")
    assert (last(trial)[0], trial["status"]["attempt"], len(runs.uids)) == ("Created", 2, 1)
    await stage.client.patch(path, {"spec": {"suspend": False}})
    await stage.running("asleep", attempt=2)


async def test_what_waits_still_waits_under_another_controller(stage, shared_controller):
    held = {**JOB.run, "spec": {**JOB.spec, "suspend": True}}
    await stage.play(Runs(stage))
    await stage.create("held", trialTemplate={"trialSpec": held})
    before, _ = await stage.waits.told("held", "Suspended")
    shared_controller.kill()
    await asyncio.to_thread(shared_controller.start)
    await asyncio.sleep(5)
    trial, _ = await stage.waits.told("held", "Suspended")
    assert condition(trial, "Waiting")["lastTransitionTime"] == condition(before, "Waiting")["lastTransitionTime"]


async def test_what_an_earlier_pod_measured_does_not_count_though_nobody_saw_it_replaced(stage, shared_controller):
    await stage.play(replaced := Replaced(stage))
    await stage.create("replaced", live=True)
    await stage.running("replaced")
    await asyncio.sleep(1)  # its first words are heard
    shared_controller.kill()
    await replaced.go_on()
    await asyncio.to_thread(shared_controller.start)
    trial = await stage.finished("replaced")
    assert observed(trial) == ("0.5", "0.5")
    assert (trial["status"]["attempt"], trial["status"]["retries"]) == (2, 1)


class Replaced:
    """An act: the first pod fails, and the second, of which another controller is told first, succeeds."""

    def __init__(self, stage):
        self._stage = stage

    async def __call__(self, operator, run):
        self._operator, self._run = operator, run
        await operator.set(run, "Running")
        self._pod = await self._stage.speak(operator, run, "acc=0.9")

    async def go_on(self):
        await self._stage.node.end_pod(self._pod, 1)
        await asyncio.sleep(1)  # a job controller waits longer
        second = await self._stage.speak(self._operator, self._run, "acc=0.5")
        await self._stage.node.end_pod(second)
        await self._operator.set(self._run, "Succeeded")


async def swept(stage, trial):
    """Nothing of the trial's run is left."""

    async def look():
        return trial["metadata"]["name"] not in [run["metadata"]["name"] for run in await stage.runs(JOB)]

    await until(look, lambda: "its run object is left")
