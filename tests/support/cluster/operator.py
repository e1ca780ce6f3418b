"""The controller of a kind that trials run, played: an act happens to each object, and its switches are obeyed.

async with Operator(kubeconfig, KINDS["RayJob"], act, namespace, node) as operator: …
"""

import asyncio
import copy
from contextlib import suppress

from support.cluster.client import Refused
from support.cluster.player import Player, deleted

FOREGROUND = "foregroundDeletion"


class Operator(Player):
    """Watches the objects of a kind; an act is a coroutine of the operator and the object, and ends with it."""

    def __init__(self, kubeconfig, kind, act, namespace, node=None):
        super().__init__(kubeconfig, act)
        self.kind = kind
        self.node = node
        self._namespace = namespace

    async def pods(self, run):
        """The pods of a run, made as the kind makes them: the primary one first, all of them running."""
        made = []
        for pod in copy.deepcopy(self.kind.pods(run)):
            if self.node is not None:
                pod["spec"]["nodeName"] = self.node.name
            made.append(await self.client.post(self.pods_path, pod))
        return made

    async def set(self, run, word, message=""):
        """Write the status of a run that is Running, Succeeded, Failed or Suspended."""
        path = self.kind.path(self._namespace, run["metadata"]["name"], "/status" if self.kind.subresource else "")
        run["status"] = (await self.client.patch(path, {"status": self.kind.status(run, word, message)}))["status"]

    async def pod_status(self, pod, status):
        """Write what a function of `played_pods` says of the pod."""
        path = f"{self.pods_path}/{pod['metadata']['name']}/status"
        return await self.client.patch(path, {"status": status(pod)})

    @property
    def pods_path(self):
        return f"/api/v1/namespaces/{self._namespace}/pods"

    async def _watch(self):
        async for event in self.client.follow(self.kind.path(self._namespace)):
            # Items of a list do not say what they are.
            run = {"apiVersion": self.kind.api_version, "kind": self.kind.kind, **event["object"]}
            uid, gone = run["metadata"]["uid"], event["type"] == "DELETED"
            if gone:
                self._end(uid)
            elif "deletionTimestamp" in run["metadata"]:
                self._begin(uid, "leaving", lambda run=run: self._collect(run))
            elif _is(run, self.kind.hold):
                self._begin(uid, "held", lambda run=run: self._hold(run))
            elif self.kind.kept and _is(run, self.kind.kept):
                self._begin(uid, "ended", lambda run=run: self._finish(run))
            else:
                self._begin(uid, "running", lambda run=run: self._act(self, run))

    def _begin(self, uid, state, act):
        task = self._acts.get(uid)
        if task is not None and task.get_name() == state:
            return
        self._end(uid)
        self._acts[uid] = asyncio.create_task(act(), name=state)
        self._acts[uid].add_done_callback(self._ended)

    def _end(self, uid):
        if task := self._acts.pop(uid, None):
            task.cancel()

    def _ended(self, task):
        if not task.cancelled() and task.exception() and not deleted(task.exception()):
            self._problems.append(task.exception())

    async def _hold(self, run):
        await self._delete_pods(run)
        await self.set(run, "Suspended")

    async def _finish(self, run):
        await self._delete_pods(run)
        await self.set(run, "Failed", "it was told to end")

    async def _collect(self, run):
        finalizers = run["metadata"].get("finalizers", [])
        if FOREGROUND in finalizers:
            await self._delete_pods(run)
            rest = [name for name in finalizers if name != FOREGROUND]
            path = self.kind.path(self._namespace, run["metadata"]["name"])
            await self.client.patch(path, {"metadata": {"finalizers": rest or None}})

    async def _delete_pods(self, run):
        """Delete the pods of a run, and wait until they are gone."""
        while mine := [pod for pod in (await self.client.get(self.pods_path))["items"] if _owned(pod, run)]:
            for pod in mine:
                if "deletionTimestamp" not in pod["metadata"]:
                    with suppress(Refused):
                        await self.client.delete(f"{self.pods_path}/{pod['metadata']['name']}")
            await asyncio.sleep(0.05)


def _is(run, switch):
    *path, value = switch
    found = run["spec"]
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return found == value


def _owned(pod, run):
    return any(owner["uid"] == run["metadata"]["uid"] for owner in pod["metadata"].get("ownerReferences", ()))
