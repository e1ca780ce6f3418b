"""A run's output through a real API server: what is printed while it runs, and what is left at its end."""

import asyncio

import pytest
from support.cluster import played_pods
from support.cluster.async_client import AsyncClient
from support.cluster.experiments import experiment
from support.cluster.played_node import PlayedNode

from katib_py.backends.k8s import output as module
from katib_py.backends.k8s import pods
from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.logs import LogReader, Output
from katib_py.backends.k8s.output import PodOutput
from katib_py.backends.k8s.site import Site
from katib_py.backends.k8s.streams import Streams
from katib_py.core.load import load_experiment

SITE = Site.of(load_experiment(experiment(collector="StdOut")).experiment)


class Prints:
    """Pods of a played node that print, and outputs that read them."""

    def __init__(self, api_server, namespace, node, streams):
        self.namespace, self.node = namespace, node
        self._kubeconfig, self._streams = str(api_server.kubeconfig), streams

    async def __aenter__(self):
        self._client = await AsyncClient(self._kubeconfig).__aenter__()
        self._api = await Api.connect(self._kubeconfig)
        return self

    async def __aexit__(self, *problem):
        await self._api.close()
        await self._client.__aexit__()

    async def pod(self, name):
        containers = [{"name": "main", "image": "none"}]
        body = {"metadata": {"name": name}, "spec": {"nodeName": self.node.name, "containers": containers}}
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        made = await self._client.post(path, body)
        return pods.slim(await self._client.patch(f"{path}/{name}/status", {"status": played_pods.running(made)}))

    def say(self, pod, *values):
        for value in values:
            self.node.say(self.namespace, pod.name, f"acc={value}")

    def output(self, pod, told, position=None):
        reader = LogReader(self._api, Output(self.namespace, pod.name, "main"), SITE.format, position)
        return PodOutput(reader, self._streams, lambda items: told.extend(item.value for item in items))


async def rest(output):
    """What is left of an output that can be read."""
    found, trouble = await output.rest()
    assert not trouble
    return found


@pytest.fixture
def streams():
    return Streams(most=1)


@pytest.fixture
async def prints(api_server, namespace, streams, monkeypatch):
    monkeypatch.setattr(module, "TURN_SECONDS", 0.05)
    async with (
        PlayedNode(api_server.kubeconfig, name=f"node-{namespace}") as node,
        Prints(api_server, namespace, node, streams) as made,
    ):
        yield made


async def until(told, values):
    async with asyncio.timeout(60):
        while told != values:
            await asyncio.sleep(0.01)


async def test_logs_beyond_the_streams_are_read_as_they_grow_and_to_their_end(prints):
    shown, outputs = [], []
    for name in ("followed", "looked-at"):
        pod, told = await prints.pod(name), []
        prints.say(pod, 1)
        output = prints.output(pod, told)
        output.follow()
        await until(told, ["1"])
        shown.append((pod, told))
        outputs.append(output)
    for pod, told in shown:
        prints.say(pod, 2, 3)
        await until(told, ["1", "2", "3"])
    for (pod, told), output in zip(shown, outputs, strict=True):
        prints.say(pod, 4)
        prints.node.end(prints.namespace, pod.name)
        told += [item.value for item in await rest(output)]
        assert told == ["1", "2", "3", "4"]


async def test_a_run_that_is_being_ended_is_followed_from_where_it_was_looked_at(prints, streams):
    async with streams.place():
        pod, told = await prints.pod("ending"), []
        output = prints.output(pod, told)
        output.follow()
        prints.say(pod, 1)
        await until(told, ["1"])
        output.follow_last()
        prints.say(pod, 2)
        await until(told, ["1", "2"])
        prints.node.end(prints.namespace, pod.name)
        assert await rest(output) == []
        assert told == ["1", "2"]


async def test_a_takeover_reads_on_from_the_second_of_the_newest_known_measurement(prints):
    pod = await prints.pod("taken-over")
    prints.say(pod, 1)
    first = await rest(prints.output(pod, []))
    await asyncio.sleep(1.1)  # the API server hands on whole seconds
    prints.say(pod, 2)
    (second,) = (await rest(prints.output(pod, [])))[1:]
    prints.say(pod, 3)
    found = await rest(prints.output(pod, [], second.position))
    assert [item.value for item in found] == ["2", "3"]
    assert found[0].position == second.position
    assert first[0].position < second.position
