"""The job controller and the kubelet that are played write what a real API server accepts."""

import asyncio
import time

import pytest
from support.cluster.async_client import AsyncClient
from support.cluster.client import Refused
from support.cluster.played import PlayedJobs, completes, fails, lasts
from support.cluster.played_node import PlayedNode
from support.cluster.played_pods import disrupted, ended, running, unschedulable, waiting


def job(name, **spec):
    container = {"name": "main", "image": "busybox", "command": ["true"]}
    template = {"spec": {"containers": [container], "restartPolicy": "Never"}}
    return {"metadata": {"name": name, "labels": {"name": name}}, "spec": {"template": template, **spec}}


@pytest.fixture
def jobs(namespace):
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


@pytest.fixture
def pods(namespace):
    return f"/api/v1/namespaces/{namespace}/pods"


@pytest.fixture
async def client(api_server):
    async with AsyncClient(api_server.kubeconfig) as client:
        yield client


async def until(client, path, holds):
    """The object once this holds of it."""
    deadline = time.monotonic() + 20
    while not holds(found := await client.get(path)):
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.02)
    return found


def has(kind):
    return lambda found: any(
        condition["type"] == kind and condition["status"] == "True"
        for condition in found.get("status", {}).get("conditions", [])
    )


async def test_a_job_completes_at_once(api_server, client, namespace, jobs):
    async with PlayedJobs(api_server.kubeconfig, namespace=namespace):
        await client.post(jobs, job("quick"))
        assert (await until(client, f"{jobs}/quick", has("Complete")))["status"]["succeeded"] == 1


async def test_a_job_fails_after_a_while(api_server, client, namespace, jobs):
    async with PlayedJobs(api_server.kubeconfig, lasts(0.2, fails), namespace):
        await client.post(jobs, job("slow"))
        await until(client, f"{jobs}/slow", lambda found: found["status"].get("active") == 1)
        assert (await until(client, f"{jobs}/slow", has("Failed")))["status"]["failed"] == 1


async def test_only_selected_jobs_are_played(api_server, client, namespace, jobs):
    async with PlayedJobs(api_server.kubeconfig, namespace=namespace, selector="name=wanted"):
        await client.post(jobs, job("other"))
        await client.post(jobs, job("wanted"))
        await until(client, f"{jobs}/wanted", has("Complete"))
        assert not has("Complete")(await client.get(f"{jobs}/other"))


async def test_a_suspended_job_waits_until_it_is_resumed(api_server, client, namespace, jobs):
    async with PlayedJobs(api_server.kubeconfig, lasts(0.1), namespace):
        await client.post(jobs, job("held", suspend=True))
        await until(client, f"{jobs}/held", has("Suspended"))
        await client.patch(f"{jobs}/held", {"spec": {"suspend": False}})
        assert not has("Suspended")(await until(client, f"{jobs}/held", has("Complete")))


async def test_suspending_a_running_job_deletes_its_pods(api_server, client, namespace, jobs, pods):
    async with PlayedJobs(api_server.kubeconfig, runs_for_ever, namespace):
        await client.post(jobs, job("stopped"))
        await until(client, pods, lambda found: found["items"] and found["items"][0]["status"]["phase"] == "Running")
        await client.patch(f"{jobs}/stopped", {"spec": {"suspend": True}})
        await until(client, f"{jobs}/stopped", has("Suspended"))
        assert not (await client.get(pods))["items"]


async def runs_for_ever(played, found):
    await played.start(found)
    await played.pod_status(await played.pod(found), running)


async def test_a_foreground_deletion_ends_where_nobody_else_collects(own_api_server):
    namespace = own_api_server.namespace("collected")
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    async with (
        AsyncClient(own_api_server.kubeconfig) as client,
        PlayedJobs(own_api_server.kubeconfig, runs_for_ever, namespace, collects=True),
    ):
        await client.post(jobs, job("deleted"))
        await until(client, f"/api/v1/namespaces/{namespace}/pods", lambda found: found["items"])
        await client.delete(f"{jobs}/deleted", propagationPolicy="Foreground")
        await until(client, jobs, lambda found: not found["items"])
        assert not (await client.get(f"/api/v1/namespaces/{namespace}/pods"))["items"]


async def test_it_goes_on_after_the_server_was_away_and_forgot(own_api_server):
    namespace = own_api_server.namespace("restarted")
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    async with (
        AsyncClient(own_api_server.kubeconfig) as client,
        PlayedJobs(own_api_server.kubeconfig, lasts(1.0), namespace),
    ):
        await client.post(jobs, job("before"))
        await asyncio.to_thread(own_api_server.expire_watches)
        await client.post(jobs, job("after"))
        for name in ("before", "after"):
            await until(client, f"{jobs}/{name}", has("Complete"))


STATUSES = {
    "Running": running,
    "ImagePullBackOff": waiting("ImagePullBackOff", "no such image"),
    "Unschedulable": unschedulable(),
    "Succeeded": ended(),
    "OOMKilled": ended(137, "OOMKilled"),
    "DisruptionTarget": disrupted(),
}


@pytest.mark.parametrize("word", STATUSES)
async def test_a_pod_gets_a_status(api_server, client, namespace, jobs, word):
    async with PlayedJobs(api_server.kubeconfig, waits, namespace) as played:
        created = await client.post(jobs, job("owner"))
        pod = await played.pod(created)
        assert word in str((await played.pod_status(pod, STATUSES[word]))["status"])


async def waits(played, found):
    """An act in which nothing happens."""


async def test_an_act_that_is_refused_is_told(api_server, client, namespace, jobs):
    async def never_started(played, found):
        await played.start(found, active=-1)

    async with PlayedJobs(api_server.kubeconfig, never_started, namespace) as played:
        await client.post(jobs, job("wrong"))
        with pytest.raises(Refused, match="must be greater than or equal to 0"):
            await asyncio.wait_for(played.problem(), 10)


async def test_logs_are_served_through_the_server(api_server, client, namespace, jobs, pods):
    async with PlayedNode(api_server.kubeconfig) as node, PlayedJobs(api_server.kubeconfig, waits, namespace) as played:
        pod = (await played.pod(await client.post(jobs, job("talks")), node.name))["metadata"]["name"]
        await played.pod_status(await client.get(f"{pods}/{pod}"), running)
        node.say(namespace, pod, "loss=1")
        reading = asyncio.create_task(client.text(f"{pods}/{pod}/log", follow="true"))
        await asyncio.sleep(0.2)
        node.say(namespace, pod, "loss=0.5")
        node.end(namespace, pod)
        assert await reading == "loss=1\nloss=0.5\n"
        assert await client.text(f"{pods}/{pod}/log", tailLines="1") == "loss=0.5\n"
        stamped = await client.text(f"{pods}/{pod}/log", timestamps="true")
        assert stamped.splitlines()[1].endswith("Z loss=0.5")
        assert not await client.text(f"{pods}/{pod}/log", sinceTime="2100-01-01T00:00:00Z")


async def test_many_jobs_complete_side_by_side(api_server, client, namespace, jobs):
    async with PlayedJobs(api_server.kubeconfig, completes, namespace):
        await asyncio.gather(*(client.post(jobs, job(f"one-{number}")) for number in range(50)))
        finished = await until(client, jobs, lambda found: all(map(has("Complete"), found["items"])))
    assert len(finished["items"]) == 50
