"""Played programs that push metrics, as the SDK's report_metrics does from a pod."""

import random
from datetime import UTC, datetime

import grpc
from support.cluster.played import completes

from katib_py.wire import api, rpc


def env_of(job):
    """The variables of its container."""
    container = job["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: entry.get("value") for entry in container.get("env", [])}


class Pushing:
    """An act: push metrics to the db-manager that the Job was told of, then complete."""

    def __init__(self, value=lambda job: random.random(), metric="acc", then=completes):
        self._value, self._metric, self._then = value, metric, then
        self._channels = {}

    async def __call__(self, played, job):
        values = self._value(job)
        for value in values if isinstance(values, list) else [values]:
            await self.push(job, value)
        await self._then(played, job)

    async def push(self, job, value):
        env = env_of(job)
        address = f"{env['KATIB_DB_MANAGER_SERVICE_IP']}:{env['KATIB_DB_MANAGER_SERVICE_PORT']}"
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address)
        run = api.Run(trial_uid=env["KATIB_TRIAL_UID"], namespace=env["KATIB_TRIAL_NAMESPACE"])
        request = api.ReportObservationLogRequest(trial_name=env["KATIB_TRIAL_NAME"], run=run)
        entry = request.observation_log.metric_logs.add(time_stamp=datetime.now(UTC).isoformat())
        entry.metric.name, entry.metric.value = self._metric, str(value)
        await rpc.call(self._channels[address], "DBManager", "ReportObservationLog")(request)
