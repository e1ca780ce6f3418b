"""Measurements on their way to the db-manager: in batches, again and again until it has them."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

import grpc

from katib_py.core.names import ENV_TRIAL_ATTEMPT, ENV_TRIAL_NAMESPACE, ENV_TRIAL_TOKEN, ENV_TRIAL_UID
from katib_py.core.objective import Measurement
from katib_py.core.times import format_rfc3339
from katib_py.core.tokens import call_metadata
from katib_py.wire import api, rpc

MOST: Final = 20_000  # held while the db-manager is away; the rest stays in the files
BATCH: Final = 1000
BATCH_BYTES: Final = 1 << 20  # of values: one may be a number of a million digits


class Reporter:
    """Reports one trial's measurements in order; a batch leaves only when it has arrived.

    `born` is added to the positions. `trouble` says why the last batch did not arrive.
    """

    def __init__(self, channel: Any, trial: str, born: int, environment: Mapping[str, str]) -> None:
        self.trouble = ""
        self._report = rpc.call(channel, "DBManager", "ReportObservationLog")
        self._trial = trial
        self._born = born
        self._run = api.Run(
            namespace=environment.get(ENV_TRIAL_NAMESPACE, ""),
            trial_uid=environment.get(ENV_TRIAL_UID, ""),
            attempt=environment.get(ENV_TRIAL_ATTEMPT, ""),
        )
        self._token = call_metadata(environment.get(ENV_TRIAL_TOKEN, ""))
        self._waiting: deque[Measurement] = deque()

    @property
    def full(self) -> bool:
        """Whether nothing more should be read before something has arrived."""
        return len(self._waiting) >= MOST

    @property
    def idle(self) -> bool:
        """Whether everything has arrived."""
        return not self._waiting

    def add(self, measurements: Iterable[Measurement]) -> None:
        """Have these reported after what waits already."""
        self._waiting.extend(measurements)

    async def send(self, seconds: float) -> bool:
        """Report what waits, a batch after the other, until all has arrived or one does not; whether all has."""
        end = time.monotonic() + seconds
        while self._waiting:
            batch = self._batch()
            try:
                left = max(end - time.monotonic(), 0)
                await self._report(self._request(batch), timeout=left, metadata=self._token)
            except grpc.aio.AioRpcError as error:
                self.trouble = f"{error.code().name}: {error.details()}"
                return False
            for _ in batch:
                self._waiting.popleft()
        self.trouble = ""
        return True

    def _batch(self) -> list[Measurement]:
        batch: list[Measurement] = []
        size = 0
        for item in islice(self._waiting, BATCH):
            size += len(item.value)
            if batch and size > BATCH_BYTES:
                break
            batch.append(item)
        return batch

    def _request(self, batch: Iterable[Measurement]) -> api.ReportObservationLogRequest:
        request = api.ReportObservationLogRequest(trial_name=self._trial, run=self._run)
        for item in batch:
            # A position of 0 would say that there is none.
            position = self._born + item.position + 1
            entry = request.observation_log.metric_logs.add(time_stamp=format_rfc3339(item.time), position=position)
            entry.metric.name, entry.metric.value = item.metric, item.value
        return request
