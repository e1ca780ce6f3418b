"""What happens to a trial of each kind, played for all at the same time: succeeded, failed, queued, stopped, kept."""

import asyncio
from contextlib import AsyncExitStack

from support.cluster.async_client import AsyncClient
from support.cluster.experiments import GROUP, condition, experiment, last
from support.cluster.operator import Operator
from support.cluster.played_kinds import KINDS
from support.cluster.played_kubelet import PlayedKubelet

STORIES = ("succeeded", "failed", "queued", "stopped", "kept")
EXPERIMENT = "katib.kubeflow.org/experiment"
QUEUE = "kueue.x-k8s.io/queue-name"
SECONDS = 120


class Stories:
    """By kind and story: the experiment and trial at their end, the run as it was begun and as it is left, or None."""

    def __init__(self, namespace):
        self.namespace = namespace
        self.experiments, self.trials, self.runs, self.begun, self.pods, self.waited = {}, {}, {}, {}, {}, {}

    async def play(self, kubeconfig):
        async with AsyncExitStack() as stack:
            self.client = await stack.enter_async_context(AsyncClient(kubeconfig))
            node = await stack.enter_async_context(PlayedKubelet(kubeconfig, "node-of-kinds", "acc=0.7"))
            for kind in KINDS.values():
                await stack.enter_async_context(Operator(kubeconfig, kind, self._act, self.namespace, node))
            told = [(kind, story) for kind in KINDS.values() for story in STORIES]
            for kind, story in told:
                await self.client.post(self._path("experiments"), document(kind, story))
            async with asyncio.timeout(SECONDS):
                await asyncio.gather(*(self._end(kind, story) for kind, story in told))
        return self

    async def _act(self, operator, run):
        """The primary pod prints its metric and the others another value, in the containers that would be read."""
        kind, node = operator.kind, operator.node
        story = run["metadata"]["labels"][EXPERIMENT].rpartition("-")[2]
        pods = self.pods[kind.kind, story] = await operator.pods(run)
        self.begun[kind.kind, story] = run
        await operator.set(run, "Running")
        for pod, value in zip(pods, (0.5, 0.9), strict=False):
            await node.run(pod)
            for container in pod["spec"]["containers"]:
                counts = container["name"] == kind.primary
                node.say(self.namespace, pod["metadata"]["name"], f"acc={value if counts else 0.8}", container["name"])
        if story == "stopped":
            path = self._path("experiments", named(kind, story))
            await self.client.patch(path, {"spec": {"maxDurationSeconds": 1}})
            return
        for pod in pods:
            await node.end_pod(pod, 1 if story == "failed" else 0, kind.primary)
        await operator.set(run, "Failed" if story == "failed" else "Succeeded", f"it has {story}")

    async def _end(self, kind, story):
        key = kind.kind, story
        experiment_path = self._path("experiments", named(kind, story))
        while not (found := await self.client.get(experiment_path)).get("status", {}).get("completionTime"):
            if story == "queued" and key not in self.waited:
                await self._admit(kind, key)
            await asyncio.sleep(0.2)
        while last(trial := await self._trial(kind, story))[0] in (None, "Created", "Running"):
            await asyncio.sleep(0.2)
        self.experiments[key], self.trials[key] = found, trial
        while (left := await self._run(kind, story)) and story in ("succeeded", "failed", "queued"):
            await asyncio.sleep(0.2)
        self.runs[key] = left

    async def _admit(self, kind, key):
        """Kueue lets a run go once it has been seen to wait."""
        trial, run = await self._trial(*(kind, key[1])), await self._run(kind, key[1])
        if trial is None or run is None or not (waiting := condition(trial, "Waiting")):
            return
        self.waited[key] = waiting, last(trial)
        *path, value = kind.hold
        off = False if value is True else None
        await self.client.patch(kind.path(self.namespace, run["metadata"]["name"]), {"spec": thrown({}, path, off)})

    async def _trial(self, kind, story):
        return await self._first(self._path("trials"), kind, story)

    async def _run(self, kind, story):
        return await self._first(kind.path(self.namespace), kind, story)

    async def _first(self, path, kind, story):
        listed = await self.client.get(path, labelSelector=f"{EXPERIMENT}={named(kind, story)}")
        return next(iter(listed["items"]), None)

    def _path(self, plural, name=""):
        return f"{GROUP}/namespaces/{self.namespace}/{plural}{'/' + name if name else ''}"


def named(kind, story):
    return f"{kind.kind.lower()}-{story}"


def document(kind, story):
    """The experiment of a kind's story: one trial that prints its metric."""
    run = kind.run
    if story == "queued":
        *path, value = kind.hold
        run = {**run, "spec": thrown(run["spec"], path, value), "metadata": {"labels": {QUEUE: "team-a"}}}
    template = {"primaryContainerName": kind.primary, "retain": story in ("stopped", "kept"), **kind.template}
    limits = {"maxTrialCount": 2 if story == "stopped" else 1, "parallelTrialCount": 1}
    return experiment(named(kind, story), "StdOut", run, trialTemplate=template, **limits)


def thrown(spec, path, value):
    """The spec with a switch at this value."""
    key, *rest = path
    return {**spec, key: thrown(spec.get(key, {}), rest, value) if rest else value}
