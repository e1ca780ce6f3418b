"""Trial programs that are played: each reports while it runs and keeps its own account of what it reported.

An account is one file per Job, TRIAL.UID, of JSON lines; its last line says that the program ended.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc
from chaos_trial import measured
from support.cluster.played_node import PlayedNode
from support.cluster.played_pods import ended, running
from support.cluster.pushing import env_of

from katib_py.core.addresses import default_address
from katib_py.wire import api, rpc

STEP_SECONDS: Final = 0.25
PAUSE_SECONDS: Final = 0.2  # until a report that was not taken is made again
AWAY: Final = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Programs:
    """An act of PlayedJobs: what happens to each Job. `kind` is the collector's."""

    def __init__(self, kind: str, accounts: Path, seconds: tuple[float, float], node: PlayedNode) -> None:
        self._kind = kind
        self._accounts = accounts
        self._seconds = seconds
        self._node = node
        self._channels: dict[str, Any] = {}
        self._positions = count(time.time_ns())

    async def __call__(self, played: Any, job: dict[str, Any]) -> None:
        """Run as long as the trial's x says; a second run of the same Job would find its account there."""
        name, x = job["metadata"]["name"], float(_argument(job))
        shortest, longest = self._seconds
        with open(self._accounts / f"{name}.{job['metadata']['uid']}", "x", buffering=1) as account:
            pod = await played.pod(job, self._node.name)
            await played.pod_status(pod, running)
            await played.start(job)
            end = time.monotonic() + shortest + (longest - shortest) * (x * 97 % 1)
            for step in count():
                metrics = measured(x, step)
                await self._report(job, pod, metrics)
                account.write(json.dumps(metrics) + "\n")
                if time.monotonic() >= end:
                    break
                await asyncio.sleep(STEP_SECONDS)
            self._node.end(pod["metadata"]["namespace"], pod["metadata"]["name"])
            account.write('"ended"\n')
        await played.pod_status(pod, ended())
        await played.complete(job)

    async def close(self) -> None:
        """Let go of the db-manager."""
        for channel in self._channels.values():
            await channel.close()

    async def _report(self, job: dict[str, Any], pod: dict[str, Any], metrics: dict[str, float]) -> None:
        if self._kind == "Push":
            await self._push(env_of(job), metrics)
            return
        text = " ".join(f"{name}={value!r}" for name, value in metrics.items())
        self._node.say(pod["metadata"]["namespace"], pod["metadata"]["name"], text)

    async def _push(self, env: dict[str, str], metrics: dict[str, float]) -> None:
        """As the SDK does: the same report until it is taken."""
        run = api.Run(trial_uid=env["KATIB_TRIAL_UID"], namespace=env["KATIB_TRIAL_NAMESPACE"])
        request = api.ReportObservationLogRequest(trial_name=env["KATIB_TRIAL_NAME"], run=run)
        now, position = datetime.now(UTC).isoformat(timespec="microseconds"), next(self._positions)
        for name, value in metrics.items():
            entry = request.observation_log.metric_logs.add(time_stamp=now, position=position)
            entry.metric.name, entry.metric.value = name, repr(value)
        report = rpc.call(self._channel(default_address(env)), "DBManager", "ReportObservationLog")
        while True:
            try:
                await report(request, timeout=5.0, wait_for_ready=True)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AWAY:
                    raise
                await asyncio.sleep(PAUSE_SECONDS * random.random())
            else:
                return

    def _channel(self, address: str) -> Any:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, [("grpc.max_reconnect_backoff_ms", 1000)])
        return self._channels[address]


def _argument(job: dict[str, Any]) -> str:
    """The value of --x."""
    (argument,) = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return str(argument.partition("=")[2])
