"""The programs of trials after a takeover: Katib's runs report by their sidecar, ours print or push."""

from datetime import UTC, datetime

import grpc
from support.cluster.katib import SIDECAR
from support.cluster.played_pods import ended, running
from support.cluster.pushing import env_of

from katib_py.wire import api, rpc


class Programs:
    """An act for PlayedJobs. `acts` are those of certain trials, and of all others the one named `default`.

    Each is a list of values to measure, the last of which may be an act to follow; or a function of all there is.
    Our runs print in the namespaces `prints`, and push in all others.
    """

    def __init__(self, manager, node, acts, prints=()):
        self._manager, self._node, self._acts, self._prints = manager, node, acts, prints

    async def __call__(self, played, job):
        name = job["metadata"]["name"]
        pod = await self._pod(played, job)
        await played.pod_status(pod, running)
        default = next((act for key, act in self._acts.items() if key.endswith("-default")), ["0.3"])
        act = self._acts.get(name, default)
        if callable(act):
            await act(self, played, job, pod)
            return
        values = [value for value in act if isinstance(value, str)]
        if any(container["name"] == SIDECAR for container in pod["spec"]["containers"]):
            await self.report(job, values)
        else:
            await self.measure(job, pod, values)
        if act and callable(act[-1]):
            await act[-1](played, job)
        else:
            await self.end(played, job, pod)

    async def report(self, job, values):
        """As Katib's collectors do: by the trial's name, all at once, without times."""
        request = api.ReportObservationLogRequest(trial_name=job["metadata"]["name"])
        await self._send(request, values, "0001-01-01T00:00:00Z")

    async def end(self, played, job, pod):
        """The training ends, and with it the Job."""
        self._node.end(pod["metadata"]["namespace"], pod["metadata"]["name"])
        await played.pod_status(pod, ended())
        await played.complete(job)

    async def measure(self, job, pod, values):
        """Print or push."""
        env, where = env_of(job), (pod["metadata"]["namespace"], pod["metadata"]["name"])
        for value in values:
            if where[0] in self._prints:
                self._node.say(*where, f"acc={value}")
                continue
            run = api.Run(trial_uid=env["KATIB_TRIAL_UID"], namespace=env["KATIB_TRIAL_NAMESPACE"])
            request = api.ReportObservationLogRequest(trial_name=env["KATIB_TRIAL_NAME"], run=run)
            await self._send(request, [value], datetime.now(UTC).isoformat())

    async def _send(self, request, values, time):
        for value in values:
            entry = request.observation_log.metric_logs.add(time_stamp=time)
            entry.metric.name, entry.metric.value = "acc", value
        async with grpc.aio.insecure_channel(self._manager.address) as channel:
            await rpc.call(channel, "DBManager", "ReportObservationLog")(request)

    async def _pod(self, played, job):
        """The pod that Katib left, or a new one."""
        pods = f"/api/v1/namespaces/{job['metadata']['namespace']}/pods"
        found = await played.client.get(pods, labelSelector=f"job-name={job['metadata']['name']}")
        return found["items"][0] if found["items"] else await played.pod(job, self._node.name)
