"""A node whose kubelet ends pods: who is deleted gets its time, says its last words and is gone."""

import asyncio
from contextlib import suppress

from support.cluster.client import Refused
from support.cluster.played_node import PlayedNode
from support.cluster.played_pods import ended, running


class PlayedKubelet(PlayedNode):
    """`last_words` is what a program prints when it is told to end, `grace` how long that takes it."""

    def __init__(self, kubeconfig, name="played-node", last_words="", grace=0.1):
        super().__init__(kubeconfig, name)
        self._last_words, self._grace = last_words, grace
        self._ending, self._watching = {}, None

    async def __aenter__(self):
        await super().__aenter__()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *problem):
        tasks = [self._watching, *self._ending.values()]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await super().__aexit__(*problem)
        for end in ended:
            if isinstance(end, Exception):
                raise end

    async def run(self, pod):
        """Its containers run."""
        return await self._write(pod, running)

    async def end_pod(self, pod, exit_code=0, container="main", restarts=0):
        """Its containers have ended."""
        self.end(pod["metadata"]["namespace"], pod["metadata"]["name"], container)
        return await self._write(pod, lambda pod: restarted(ended(exit_code)(pod), restarts))

    async def restart(self, pod, container="main"):
        """Its container has failed and is run again: of its output only the new can be read."""
        self.end(pod["metadata"]["namespace"], pod["metadata"]["name"], container)
        self.forget(pod["metadata"]["namespace"], pod["metadata"]["name"], container)
        return await self._write(pod, lambda pod: restarted(running(pod), 1))

    async def _write(self, pod, status):
        return await self._client.patch(f"{_path(pod)}/status", {"status": status(pod)})

    async def _watch(self):
        async for event in self._client.follow("/api/v1/pods", fieldSelector=f"spec.nodeName={self.name}"):
            pod = event["object"]
            uid = pod["metadata"]["uid"]
            if event["type"] == "DELETED":
                for container in pod["spec"]["containers"]:
                    self.forget(pod["metadata"]["namespace"], pod["metadata"]["name"], container["name"])
            elif "deletionTimestamp" in pod["metadata"] and uid not in self._ending:
                self._ending[uid] = asyncio.create_task(self._terminate(pod))

    async def _terminate(self, pod):
        metadata = pod["metadata"]
        if pod["status"].get("phase") == "Running":
            await asyncio.sleep(self._grace)
            for container in pod["spec"]["containers"]:
                if self._last_words:
                    self.say(metadata["namespace"], metadata["name"], self._last_words, container["name"])
                self.end(metadata["namespace"], metadata["name"], container["name"])
            await self._write(pod, ended(143))
        with suppress(Refused):
            await self._client.delete(_path(pod), gracePeriodSeconds="0")


def restarted(status, times):
    """The status of a pod whose containers were run again so often."""
    return {**status, "containerStatuses": [{**one, "restartCount": times} for one in status["containerStatuses"]]}


def _path(pod):
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"
