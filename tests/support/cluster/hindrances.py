"""What may keep a run from getting on, done to one trial after the other's name, and how it is cured."""

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack

from support.cluster.async_client import AsyncClient
from support.cluster.experiments import JOB, condition, experiment
from support.cluster.gate import Gate
from support.cluster.kind_definitions import define
from support.cluster.played import PlayedJobs
from support.cluster.played_kinds import KINDS, PlayedKind
from support.cluster.played_pods import running, unschedulable, waiting
from support.cluster.waits import EXPERIMENT, Waits

from katib_py.core.names import trial_name

QUOTA = {"spec": {"hard": {"count/jobs.batch": "0"}}, "metadata": {"name": "full"}}
ABSENT = PlayedKind("Absent", "example.com/v1", "absents", KINDS["Job"].spec, None, None)
CONDITIONS = {"successCondition": "status.done", "failureCondition": "status.failed"}

PODS = {
    "image": waiting("ErrImagePull", "no such image"),
    "node": unschedulable(),
    "secret": waiting("CreateContainerConfigError", 'secret "token" not found'),
    "creating": waiting("ContainerCreating"),
    "volume": waiting("ContainerCreating"),
}
# What kubelets and job controllers say in Events of a pod or a Job.
SAID = {
    "volume": ("FailedMount", 'MountVolume.SetUp failed for volume "data": configmap "data" not found'),
    "pods": ("FailedCreate", 'Error creating: pods "x" is forbidden: exceeded quota: pods, requested: pods=1'),
}
REASONS = {
    "image": "ImagePullBackOff",
    "node": "Unschedulable",
    "secret": "CreateContainerConfigError",
    "volume": "FailedMount",
    "pods": "FailedCreate",
    "kind": "KindNotFound",
    "name": "NameTaken",
    "webhook": "AdmissionDenied",
    "quota": "QuotaExceeded",
}


class Hindrances:
    """By name: trial and experiment while they waited, and when they were cured; every wait that a trial told of."""

    def __init__(self, server, namespace):
        self.server, self.namespace = server, namespace
        self.waited, self.cured, self.events, self.told = {}, {}, {}, defaultdict(list)
        self._cures, self._ends = defaultdict(asyncio.Event), defaultdict(asyncio.Event)

    async def play(self):
        async with AsyncExitStack() as stack:
            self.client = await stack.enter_async_context(AsyncClient(self.server.kubeconfig))
            self.waits = Waits(self.client, self.namespace)
            await stack.enter_async_context(PlayedJobs(self.server.kubeconfig, self._act, self.namespace))
            gate = Gate(self.server.kubeconfig, self.namespace, self._judge, "batch/v1/jobs", "CREATE")
            await stack.enter_async_context(gate)
            watching = asyncio.create_task(self._watch())
            await asyncio.gather(self._usual(), *(self._hinder(name) for name in REASONS if name != "quota"))
            await self._hinder("quota")
            watching.cancel()
        return self

    async def _hinder(self, name):
        await getattr(self, f"_begin_{name}", self._begin)(name)
        self.waited[name] = await self.waits.told(name, REASONS[name])
        if name in PODS:
            await asyncio.sleep(4)  # as long as a pod's states alternate
        await getattr(self, f"_cure_{name}", self._cure)(name)
        self.cured[name] = await self.waits.cured(name)
        self._ends[name].set()
        self.events[name] = await self.waits.events(self.waited[name][0])

    async def _usual(self):
        await self._begin("creating")
        await asyncio.sleep(8)
        self._cures["creating"].set()
        self._ends["creating"].set()
        await self.waits.ended("creating")

    async def _act(self, played, job):
        """A Job whose pods are as its name says, until they are cured."""
        name = (job["metadata"].get("labels") or {}).get(EXPERIMENT)
        if name is None:
            return
        await played.start(job)
        if name == "pods":
            await self._say(job, "Job", *SAID[name])
            await self._cures[name].wait()
        pod = await played.pod(job)
        if name == "volume":
            await self._say(pod, "Pod", *SAID[name])
        while name in PODS and not self._cures[name].is_set():
            await played.pod_status(pod, PODS[name])
            await asyncio.sleep(1)
            if name == "image":
                await played.pod_status(pod, waiting("ImagePullBackOff", "Back-off pulling image"))
                await asyncio.sleep(1)
        await played.pod_status(pod, running)
        await self._ends[name].wait()
        await played.complete(job)

    async def _say(self, about, kind, reason, message):
        metadata = about["metadata"]
        event = {
            "metadata": {"generateName": "played-"},
            "involvedObject": {"kind": kind, "name": metadata["name"], "uid": metadata["uid"]},
            "type": "Warning",
            "reason": reason,
            "message": message,
        }
        event["involvedObject"]["namespace"] = self.namespace
        await self.client.post(f"/api/v1/namespaces/{self.namespace}/events", event)

    def _judge(self, request):
        name = (request["object"]["metadata"].get("labels") or {}).get(EXPERIMENT)
        return "not on Fridays" if name == "webhook" and not self._cures[name].is_set() else None

    async def _begin(self, name, **more):
        document = experiment(name, maxTrialCount=1, parallelTrialCount=1, **more)
        return await self.client.post(self.waits.path("experiments"), document)

    async def _cure(self, name):
        self._cures[name].set()

    async def _begin_kind(self, name):
        await self._begin(name, run=ABSENT.run, trialTemplate=CONDITIONS)

    async def _cure_kind(self, name):
        await asyncio.to_thread(define, self.server.client, ABSENT)

    async def _begin_name(self, name):
        """An object of somebody else has the name that the trial will have."""
        created = await self._begin(name, suspend=True)
        self._taken = trial_name(name, created["metadata"]["uid"], 0)
        await self.client.post(self._jobs(), {**JOB, "metadata": {"name": self._taken}})
        await self.client.patch(self.waits.path("experiments", name), {"spec": {"suspend": False}})

    async def _cure_name(self, name):
        await self.client.delete(f"{self._jobs()}/{self._taken}", propagationPolicy="Background")

    async def _begin_quota(self, name):
        quotas = f"/api/v1/namespaces/{self.namespace}/resourcequotas"
        await self.client.post(quotas, QUOTA)
        status = {"hard": QUOTA["spec"]["hard"], "used": {"count/jobs.batch": "0"}}
        await self.client.patch(f"{quotas}/full/status", {"status": status})  # as the quota controller would
        await self._begin(name)

    async def _cure_quota(self, name):
        await self.client.delete(f"/api/v1/namespaces/{self.namespace}/resourcequotas/full")

    def _jobs(self):
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    async def _watch(self):
        async for event in self.client.follow(self.waits.path("trials")):
            trial = event["object"]
            wait = condition(trial, "Waiting")
            found = (wait["reason"], wait["message"]) if wait else None
            told = self.told[trial["metadata"]["labels"][EXPERIMENT]]
            if not told or told[-1] != found:
                told.append(found)
