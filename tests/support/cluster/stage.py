"""A namespace with a kubelet and the controllers of some kinds, all played, and what became of its trials."""

import asyncio
import uuid
from contextlib import AsyncExitStack

from support.cluster.async_client import AsyncClient
from support.cluster.experiments import experiment, last
from support.cluster.operator import Operator
from support.cluster.played_kinds import KINDS
from support.cluster.played_kubelet import PlayedKubelet
from support.cluster.played_pods import disrupted
from support.cluster.waits import EXPERIMENT, Waits, until

ENDS = ("Succeeded", "Failed", "Killed", "EarlyStopped", "MetricsUnavailable")
MEDIAN = {
    "algorithmName": "medianstop",
    "algorithmSettings": [
        {"name": "min_trials_required", "value": "1"},
        {"name": "start_step", "value": "1"},
    ],
}


class Stage:
    """async with Stage(server, namespace) as stage: … `act` is what happens to each object of a kind."""

    def __init__(self, server, namespace, last_words="", grace=0.1):
        self.server, self.namespace = server, namespace
        self.node = PlayedKubelet(server.kubeconfig, f"node-{uuid.uuid4().hex[:8]}", last_words, grace)
        self._stack, self.names = AsyncExitStack(), set()

    async def __aenter__(self):
        await self._stack.__aenter__()
        self.client = await self._stack.enter_async_context(AsyncClient(self.server.kubeconfig))
        await self._stack.enter_async_context(self.node)
        self.waits = Waits(self.client, self.namespace)
        return self

    async def __aexit__(self, *problem):
        return await self._stack.__aexit__(*problem)

    async def play(self, act, kind=KINDS["Job"]):
        """The controller of a kind, from now on; what others' experiments have left is no concern of the act's."""

        async def ours(operator, run):
            if run["metadata"].get("labels", {}).get(EXPERIMENT) in self.names:
                await act(operator, run)

        return await self._stack.enter_async_context(
            Operator(self.server.kubeconfig, kind, ours, self.namespace, self.node)
        )

    async def create(self, name, kind=KINDS["Job"], live=False, collector="StdOut", **spec):
        """An experiment of one trial; `live`: its output is followed."""
        self.names.add(name)
        template = {"primaryContainerName": kind.primary, **kind.template, **spec.pop("trialTemplate", {})}
        limits = {"maxTrialCount": 1, "parallelTrialCount": 1, **({"earlyStopping": MEDIAN} if live else {})}
        document = experiment(name, collector, kind.run, trialTemplate=template, **{**limits, **spec})
        return await self.client.post(self.waits.path("experiments"), document)

    async def trials(self, name):
        listed = await self.client.get(self.waits.path("trials"), labelSelector=f"{EXPERIMENT}={name}")
        return listed["items"]

    async def having(self, name, holds):
        """The trial of an experiment of which this holds, once there is one."""

        async def look():
            return next((trial for trial in await self.trials(name) if holds(trial)), None)

        return await until(look, lambda: f"no trial of {name} comes to that")

    async def finished(self, name, *states):
        """The trial of an experiment, once it has ended, in one of these states if any are given."""
        return await self.having(name, lambda trial: last(trial)[0] in (states or ENDS))

    async def running(self, name, **status):
        """The trial once it runs, with these keys of its status."""
        return await self.having(
            name, lambda trial: last(trial)[0] == "Running" and status.items() <= trial["status"].items()
        )

    async def run_of(self, pod):
        """The run object that owns a pod."""
        (owner,) = pod["metadata"]["ownerReferences"]
        return await self.client.get(KINDS[owner["kind"]].path(self.namespace, owner["name"]))

    async def runs(self, kind, name=""):
        return (await self.client.get(kind.path(self.namespace, name)))["items"]

    async def speak(self, operator, run, *lines):
        """A pod of the run that runs and prints these lines."""
        (pod,) = await operator.pods(run)
        await self.node.run(pod)
        for line in lines:
            self.say(pod, line)
        return pod

    def say(self, pod, line, container="main"):
        self.node.say(self.namespace, pod["metadata"]["name"], line, container)

    async def disrupt(self, operator, pod):
        """The pod is taken away by the cluster, and gone."""
        self.node.end(self.namespace, pod["metadata"]["name"])
        await operator.pod_status(pod, disrupted())
        await self.gone(pod)

    async def gone(self, pod):
        await self.client.delete(
            f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}", gracePeriodSeconds="0"
        )


def observed(trial):
    """Minimum and maximum of the objective metric."""
    metric = trial["status"]["observation"]["metrics"][0]
    return metric["min"], metric["max"]


async def moment():
    """Let what was written become visible to who watches."""
    await asyncio.sleep(0.5)
