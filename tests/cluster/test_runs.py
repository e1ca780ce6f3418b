"""Runs on Kubernetes beyond what every runner promises: what others do to their objects, and ends that do not come."""

import asyncio

import pytest
from support.cluster.gate import Gate
from support.cluster.played_kinds import KINDS
from support.cluster.played_runs import played_runs

from katib_py.backends.k8s import course
from katib_py.controller.ports import RunOrder, RunPhase
from katib_py.core.names import LABEL_TRIAL
from katib_py.core.pods import mark
from katib_py.core.trial import Assignment, TrialRecord, TrialState

NAME = "demo-a"
EXPERIMENT = {
    "metadata": {"name": "demo"},
    "spec": {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "trialTemplate": {"primaryContainerName": "main", "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"}},
    },
}


@pytest.fixture
async def played(api_server, crds, namespace):
    async with played_runs(api_server, namespace, EXPERIMENT, [NAME]) as played:
        yield played


def order(played, does="echo loss=0.5", adopt_only=False, state=TrialState.CREATED, **spec):
    pod = {"containers": [{"name": "main", "image": "x", "command": ["sh", "-c", does]}], "restartPolicy": "Never"}
    metadata = {"name": NAME, "namespace": played.stage.namespace}
    run = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}, **spec}}
    trial = TrialRecord(Assignment(NAME, 0, ()), 0.0, state=state)
    return RunOrder(trial, played.uids[NAME], mark(run, {LABEL_TRIAL: NAME}, {}), adopt_only)


async def until(played, *phases):
    """Every report up to the first of these phases."""
    seen = []
    async with asyncio.timeout(60):
        while not {report.phase for report in seen} & set(phases):
            await played.wake.wait()
            played.wake.clear()
            seen += played.runner.reports()
    return seen


def jobs(played):
    return KINDS["Job"].path(played.stage.namespace)


async def test_a_run_whose_object_is_deleted_as_soon_as_it_has_ended_has_its_verdict(played):
    """As by ttlSecondsAfterFinished: 0."""
    played.runner.start(order(played, "echo loss=0.5; delete"))
    seen = await until(played, RunPhase.ENDED, RunPhase.LOST)
    assert seen[-1].phase is RunPhase.ENDED
    assert seen[-1].document["status"]["succeeded"] == 1


async def test_a_run_that_was_there_and_is_not_is_lost(played):
    played.runner.start(order(played, state=TrialState.RUNNING))
    (report,) = await until(played, RunPhase.LOST)
    assert not report.disrupted


async def test_a_run_that_cannot_be_is_a_failure_with_the_reason(played):
    played.runner.start(order(played, backoffLimit=-1))
    (report,) = await until(played, RunPhase.ENDED)
    assert report.reason == "InvalidRunObject"
    assert "backoffLimit" in report.detail


async def test_a_pod_that_does_not_go_is_not_waited_for_for_ever(played, monkeypatch):
    monkeypatch.setattr(course, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(course, "LOOK_SECONDS", 0.5)
    played.runner.start(order(played, "echo loss=0.5; sleep 600"))
    await until(played, RunPhase.RUNNING)
    pod = await pod_of(played)
    await hold(played, pod, ["example.com/stuck"])
    played.runner.stop(NAME)
    report = (await until(played, RunPhase.ENDED))[-1]
    assert report.stopped
    assert "is still there" in report.detail
    await hold(played, pod, None)


async def test_a_run_made_by_a_request_that_seemed_to_fail_is_ended_as_well(played):
    """Told to stop before it knew that its object is there, the runner looks before it says that nothing is."""
    played.runner.start(order(played, "echo loss=0.5; sleep 600"))
    played.runner.stop(NAME)
    report = (await until(played, RunPhase.ENDED))[-1]
    assert report.stopped
    assert not (await played.stage.client.get(jobs(played)))["items"]


async def test_an_end_that_is_refused_is_said_to_be_waited_for_and_tried_again(played):
    allowed = asyncio.Event()

    def judge(request):
        return None if allowed.is_set() else "not now"

    played.runner.start(order(played, "echo loss=0.5; sleep 600"))
    await until(played, RunPhase.RUNNING)
    async with Gate(played.stage.server.kubeconfig, played.stage.namespace, judge, "batch/v1/jobs", "DELETE"):
        played.runner.stop(NAME)
        waiting = (await until(played, RunPhase.WAITING))[-1]
        assert (waiting.reason, "not now" in waiting.detail) == ("AdmissionDenied", True)
        allowed.set()
        assert (await until(played, RunPhase.ENDED))[-1].stopped


async def test_a_run_that_fails_while_somebody_deletes_it_is_lost_and_no_failure(played):
    played.runner.start(order(played, "echo loss=0.5; sleep 600"))
    await until(played, RunPhase.RUNNING)
    pod = await pod_of(played)
    await hold(played, pod, ["example.com/held"])
    await played.stage.client.delete(f"{jobs(played)}/{NAME}", propagationPolicy="Foreground")
    await asyncio.sleep(0.5)  # it is seen to be leaving
    job = await played.stage.client.get(f"{jobs(played)}/{NAME}")
    status = KINDS["Job"].status(job, "Failed", "its pods were deleted")
    await played.stage.client.patch(f"{jobs(played)}/{NAME}/status", {"status": status})
    await asyncio.sleep(0.5)
    await hold(played, pod, None)
    assert (await until(played, RunPhase.LOST, RunPhase.ENDED))[-1].phase is RunPhase.LOST


async def test_a_defect_of_ours_is_said_and_the_run_attended_to_again(played, monkeypatch):
    monkeypatch.setattr(course, "DEFECT_SECONDS", 0.1)
    found, kinds = played.cluster.kinds.resource, played.cluster.kinds
    kinds.resource = lambda document: document["no such key"]
    played.runner.start(order(played))
    waiting = (await until(played, RunPhase.WAITING))[-1]
    assert (waiting.reason, "no such key" in waiting.detail) == ("Defect", True)
    kinds.resource = found
    assert (await until(played, RunPhase.ENDED))[-1].document["status"]["succeeded"] == 1


async def pod_of(played):
    pods = f"/api/v1/namespaces/{played.stage.namespace}/pods"
    while not (found := (await played.stage.client.get(pods))["items"]):
        await asyncio.sleep(0.1)
    return f"{pods}/{found[0]['metadata']['name']}"


async def hold(played, pod, finalizers):
    await played.stage.client.patch(pod, {"metadata": {"finalizers": finalizers}})
