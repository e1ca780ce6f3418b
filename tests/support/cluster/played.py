"""A job controller and kubelet that are played: Jobs and Pods get the statuses that the real ones would write.

async with PlayedJobs(kubeconfig, act=completes) as played: …       every Job completes at once
"""

import asyncio
import secrets
from datetime import UTC, datetime

from support.cluster.async_client import AsyncClient
from support.cluster.client import Refused

PODS_FINALIZER = "foregroundDeletion"


async def completes(played, job):
    """What happens to a Job, as all acts: this one completes at once."""
    await played.complete(job)


def lasts(seconds, then=completes):
    """An act: run for some seconds, without pods, and then what `then` says."""

    async def act(played, job):
        await played.start(job)
        await asyncio.sleep(seconds)
        await then(played, job)

    return act


async def fails(played, job):
    await played.fail(job)


class PlayedJobs:
    """Watches Jobs and lets an act happen to each that is not suspended; a Job that is deleted ends its act."""

    def __init__(self, kubeconfig, act=completes, namespace=None, selector="", collects=False):
        """`collects`: finish foreground deletions too, where no garbage collector runs."""
        self.client = AsyncClient(kubeconfig)
        self._act = act
        scope = f"/namespaces/{namespace}" if namespace else ""
        self._path, self._query = f"/apis/batch/v1{scope}/jobs", {"labelSelector": selector} if selector else {}
        self._collects = collects
        self._acts, self._problems, self._watching = {}, asyncio.Queue(), None

    async def __aenter__(self):
        await self.client.__aenter__()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *problem):
        tasks = [self._watching, *(task for task in self._acts.values() if task)]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.__aexit__()
        for end in ended:
            if isinstance(end, Exception):
                self._problems.put_nowait(end)
        if problem[0] is None and not self._problems.empty():
            raise self._problems.get_nowait()

    async def problem(self):
        """Wait for an act that failed, and raise what it said."""
        raise await self._problems.get()

    async def start(self, job, active=1):
        """The Job runs."""
        resumed = [_condition("Suspended", _now(), "JobResumed", status="False")] if _suspended(job) else []
        await self._status(job, startTime=_now(), active=active, ready=0, conditions=resumed)

    async def complete(self, job):
        now = _now()
        conditions = [_condition(kind, now) for kind in ("SuccessCriteriaMet", "Complete")]
        # Its start cannot be changed once written.
        started = {} if job.get("status", {}).get("startTime") else {"startTime": now}
        done = {"active": 0, "ready": 0, "succeeded": 1, "completionTime": now, "conditions": conditions}
        await self._status(job, **started, **done)

    async def fail(self, job, reason="BackoffLimitExceeded", message="Job has reached the specified backoff limit"):
        now = _now()
        conditions = [_condition(kind, now, reason, message) for kind in ("FailureTarget", "Failed")]
        started = {} if job.get("status", {}).get("startTime") else {"startTime": now}
        await self._status(job, **started, active=0, ready=0, failed=1, conditions=conditions)

    async def pod(self, job, node=None):
        """A new Pod of the Job, as its template says: pending."""
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        template = job["spec"]["template"]
        labels = {"batch.kubernetes.io/job-name": name, "batch.kubernetes.io/controller-uid": uid, "job-name": name}
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
        metadata = {
            **template.get("metadata", {}),
            "name": f"{name[:50]}-{secrets.token_hex(3)}",
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        }
        metadata["labels"] = {**metadata.get("labels", {}), **labels}
        spec = template["spec"] | ({"nodeName": node} if node else {})
        pods = f"/api/v1/namespaces/{job['metadata']['namespace']}/pods"
        return await self.client.post(pods, {"metadata": metadata, "spec": spec})

    async def pod_status(self, pod, status):
        """Write what `running`, `waiting`, `ended` or `disrupted` of `played_pods` says of it."""
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        return await self.client.patch(path, {"status": status(pod)})

    async def _status(self, job, **status):
        """Write, and remember what was written, as the act goes on with the same object."""
        job["status"] = (await self.client.patch(f"{_path(job)}/status", {"status": status}))["status"]

    async def _watch(self):
        async for event in self.client.follow(self._path, **self._query):
            job = event["object"]
            uid, gone = job["metadata"]["uid"], event["type"] == "DELETED"
            if gone or "deletionTimestamp" in job["metadata"]:
                self._end(uid)
                self._end(f"{uid} collected") if gone else self._begin(f"{uid} collected", self._collect(job))
            elif job["spec"].get("suspend"):
                self._end(uid)
                self._begin(f"{uid} suspended", self._suspend(job))
            elif uid not in self._acts:
                self._begin(uid, self._act(self, job) if not _finished(job) else _nothing())

    def _begin(self, key, act):
        if key not in self._acts:
            self._acts[key] = asyncio.create_task(act)
            self._acts[key].add_done_callback(lambda task: self._ended(key, task))
        else:
            act.close()

    def _end(self, uid):
        if task := self._acts.pop(uid, None):
            task.cancel()

    def _ended(self, key, task):
        if key in self._acts:
            self._acts[key] = None  # known, and over
        problem = None if task.cancelled() else task.exception()
        # Who is deleted meanwhile is acted upon no more.
        deleted = isinstance(problem, Refused) and problem.code in (404, 409)
        if problem and not deleted:
            self._problems.put_nowait(problem)

    async def _collect(self, job):
        finalizers = job["metadata"].get("finalizers", [])
        if self._collects and PODS_FINALIZER in finalizers:
            await self._delete_pods(job)
            rest = [name for name in finalizers if name != PODS_FINALIZER]
            await self.client.patch(_path(job), {"metadata": {"finalizers": rest or None}})

    async def _suspend(self, job):
        if not _suspended(job):
            await self._delete_pods(job)
            condition = _condition("Suspended", _now(), "JobSuspended", "Job suspended")
            await self._status(job, startTime=None, active=0, ready=0, conditions=[condition])

    async def _delete_pods(self, job):
        pods = f"/api/v1/namespaces/{job['metadata']['namespace']}/pods"
        selector = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        await self.client.delete(pods, labelSelector=selector, gracePeriodSeconds="0")


async def _nothing():
    """The act of a Job that had ended before anybody watched."""


def _path(job):
    return f"/apis/batch/v1/namespaces/{job['metadata']['namespace']}/jobs/{job['metadata']['name']}"


def _conditions(job):
    return {found["type"]: found["status"] == "True" for found in job.get("status", {}).get("conditions", [])}


def _finished(job):
    return any(_conditions(job).get(kind) for kind in ("Complete", "Failed"))


def _suspended(job):
    return _conditions(job).get("Suspended", False)


def _condition(kind, now, reason="", message="", status="True"):
    times = {"lastProbeTime": now, "lastTransitionTime": now}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def _now():
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
