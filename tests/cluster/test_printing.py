"""What the pods of a run print is read where it counts, whole, and in time."""

import asyncio
import dataclasses

import pytest
from support.cluster.experiments import condition, last
from support.cluster.kind_definitions import define
from support.cluster.played_kinds import KINDS
from support.cluster.played_pods import ended
from support.cluster.stage import Stage, moment, observed

from katib_py.core.objective import Metric
from katib_py.core.summary import Summary, write_summary

JOB, WORKFLOW = KINDS["Job"], KINDS["Workflow"]
TWO_STEPS = dataclasses.replace(
    WORKFLOW,
    spec={**WORKFLOW.spec, "templates": [{**WORKFLOW.spec["templates"][0], "name": name} for name in ("a", "b")]},
)


@pytest.fixture
async def stage(api_server, shared_namespace, shared_controller):
    define(api_server.client, WORKFLOW)
    async with Stage(api_server, shared_namespace) as stage:
        yield stage


@pytest.mark.parametrize("live", [False, True])
async def test_where_several_pods_have_the_primary_container_all_of_them_count(stage, live):
    name = f"steps-{live}".lower()

    async def act(operator, run):
        """The step that measures is not the last one to end."""
        pods = await operator.pods(run)
        for pod, value in zip(pods, ("0.3", "0.6"), strict=True):
            await stage.node.run(pod)
            stage.say(pod, f"acc={value}")
            await stage.node.end_pod(pod)
        await operator.set(run, "Succeeded")

    await stage.play(act, TWO_STEPS)
    await stage.create(name, TWO_STEPS, live=live)
    assert observed(await stage.finished(name)) == ("0.3", "0.6")


async def test_pods_that_are_deleted_when_they_have_ended_are_read_before(stage):
    collected = dataclasses.replace(WORKFLOW, spec={**WORKFLOW.spec, "podGC": {"strategy": "OnPodCompletion"}})

    async def act(operator, run):
        pod = await stage.speak(operator, run, "acc=0.3")
        await moment()
        stage.say(pod, "acc=0.6")
        await stage.node.end_pod(pod)
        await stage.gone(pod)
        await operator.set(run, "Succeeded")

    await stage.play(act, collected)
    await stage.create("collected", collected)
    assert observed(await stage.finished("collected")) == ("0.3", "0.6")


async def test_a_run_that_is_over_before_its_last_line_is_printed_is_read_to_it(stage):
    async def act(operator, run):
        pod = await stage.speak(operator, run, "acc=0.3")
        await operator.set(run, "Succeeded")
        await asyncio.sleep(1)
        stage.say(pod, "acc=0.6")
        await stage.node.end_pod(pod)

    await stage.play(act)
    await stage.create("late")
    assert observed(await stage.finished("late")) == ("0.3", "0.6")


async def test_a_followed_log_is_taken_up_where_the_connection_was_lost(stage):
    async def act(operator, run):
        await operator.set(run, "Running")
        pod = await stage.speak(operator, run, "acc=0.5")
        for value in ("0.3", "0.6", "0.4"):
            await moment()
            stage.node.hang_up(stage.namespace, pod["metadata"]["name"])
            stage.say(pod, f"acc={value}")
        await stage.node.end_pod(pod)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("cut", live=True)
    trial = await stage.finished("cut")
    assert observed(trial) == ("0.3", "0.6")
    assert trial["status"]["observation"]["metrics"][0]["latest"] == "0.4"


async def test_an_objective_that_is_not_printed_is_what_a_run_waits_for_until_it_comes(stage):
    """Nobody decides on intermediate values, so the output is not followed."""
    silent = asyncio.Event()

    async def act(operator, run):
        await operator.set(run, "Running")
        pod = await stage.speak(operator, run, "loss=1")
        await silent.wait()
        stage.say(pod, "acc=0.5")
        await stage.having("unheard", lambda trial: condition(trial, "Waiting") is None)
        await stage.node.end_pod(pod)
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("unheard")
    waits = await stage.having("unheard", lambda trial: condition(trial, "Waiting"))
    assert condition(waits, "Waiting")["reason"] == "MetricNotSeen"
    silent.set()
    assert observed(await stage.finished("unheard")) == ("0.5", "0.5")


async def test_what_a_collector_could_not_report_is_taken_from_its_last_words(stage):
    message = write_summary(Summary(False, "the db-manager does not answer", (Metric("acc", "0.3", "0.6", "0.4"),)))
    end = {"exitCode": 0, "reason": "Completed", "message": message, "finishedAt": "2026-01-01T00:00:00Z"}

    async def act(operator, run):
        (pod,) = await operator.pods(run)
        await stage.node.run(pod)
        await stage.node.end_pod(pod)
        sidecar = {"name": "metrics-logger-and-collector", "image": "", "imageID": "", "ready": False}
        sidecar |= {"restartCount": 0, "state": {"terminated": end}}
        await operator.pod_status(pod, lambda pod: ended()(pod) | {"initContainerStatuses": [sidecar]})
        await operator.set(run, "Succeeded")

    await stage.play(act)
    source = {"fileSystemPath": {"path": "/tmp/metrics", "kind": "File", "format": "TEXT"}}
    spec = {"collector": {"kind": "File"}, "source": source}
    await stage.create("unreported", metricsCollectorSpec=spec)
    trial = await stage.finished("unreported")
    assert last(trial)[0] == "Succeeded"
    assert observed(trial) == ("0.3", "0.6")
    assert trial["status"]["observation"]["metrics"][0]["latest"] == "0.4"


async def test_where_no_pod_has_the_output_that_is_said(stage):
    async def act(operator, run):
        await operator.set(run, "Succeeded")

    await stage.play(act)
    await stage.create("silent")
    trial = await stage.finished("silent", "MetricsUnavailable")
    (event,) = [event for event in await stage.waits.events(trial) if event[1] == "OddOutput"]
    assert "no pod of the run was seen that has a container main" in event[2]
