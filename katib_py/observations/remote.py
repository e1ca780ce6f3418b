"""The observation log of another process: a db-manager's ObservationLogs service, called until it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import grpc

from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.core.times import to_microseconds
from katib_py.core.tokens import call_metadata
from katib_py.observations.log import Reported, Run
from katib_py.wire import api, rpc
from katib_py.wire.measurements import add_measurement, measurement, measurements

T = TypeVar("T")
Key = tuple[str, str]  # trial uid, attempt

PATIENCE_SECONDS: Final = 60.0
CALL_SECONDS: Final = 20.0  # a call that has had no answer for so long is made again
PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 2.0
DELETED_AT_ONCE: Final = 50  # trials: nobody else writes meanwhile
ADOPTED_AT_ONCE: Final = 100
# A proxy is for the outside world, a db-manager never behind it. While there is no server, look again every second.
CHANNEL_OPTIONS: Final = (
    *rpc.CHANNEL_OPTIONS,
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
AGAIN: Final = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}


class Start(NamedTuple):
    """A run and when it begins."""

    run: Run
    started: datetime


class Arrived(NamedTuple):
    """A measurement as the log has it: its place there is a cursor."""

    cursor: int
    reported: Reported


class RemoteLog:
    """The log behind a db-manager's address; use it in one event loop.

    While the db-manager or its database is away, a call is made again for `patience` seconds: all of them may be
    repeated. Then, and at once where it refuses, StoreUnavailable is raised. `token` is the controller's
    (`core.tokens`), where the db-manager has a key.
    """

    def __init__(self, address: str, token: str = "", patience: float = PATIENCE_SECONDS) -> None:
        self.address = address
        self._metadata = call_metadata(token)
        self._patience = patience
        self._channel = grpc.aio.insecure_channel(address, CHANNEL_OPTIONS)

    async def append(self, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
        """Record measurements in one transaction; what is there already is passed over."""
        request = api.AppendRequest()
        for run, items in rows:
            log = request.logs.add(trial_name=run.trial_name, run=_run(run))
            for item in items:
                add_measurement(log, item)
        await self._call("Append", request)

    async def read(self, trial_uid: str, attempt: str | None = None) -> list[Measurement]:
        """The measurements of an attempt, by default the last, in order of position."""
        logs = await self.read_many([(trial_uid, attempt or "")])
        return next(iter(logs.values()), [])

    async def read_many(self, keys: Iterable[Key]) -> dict[Key, list[Measurement]]:
        """The measurements of many runs in one call; an empty attempt is the last. A run without any is not there."""
        request = api.ReadRequest(runs=[api.Run(trial_uid=uid, attempt=attempt) for uid, attempt in keys])

        async def read() -> dict[Key, list[Measurement]]:
            found: dict[Key, list[Measurement]] = {}
            async for reply in self._stream("Read", request):
                for log in reply.logs:
                    found.setdefault((log.run.trial_uid, log.run.attempt), []).extend(measurements(log.measurements))
            return found

        return await self._until_answered(read)

    async def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor of these trials, in order of arrival, and the new cursor."""
        cursor, rows = await self._follow(api.FollowRequest(cursor=cursor, trial_uids=trial_uids))
        return cursor, [row.reported for row in rows]

    async def follow_all(self, cursor: int, namespace: str = "") -> tuple[int, list[Arrived]]:
        """What came after the cursor of every trial, of one namespace or of all."""
        return await self._follow(api.FollowRequest(cursor=cursor, every=True, namespace=namespace))

    async def register(self, starts: Iterable[Start]) -> None:
        """Make runs known before they report: reports that name only their trial are placed into them."""
        await self._call("RegisterRuns", api.RegisterRunsRequest(runs=map(_start, starts)))

    async def adopt(self, starts: Iterable[Start]) -> int:
        """Register runs, and give each what was recorded without a run; how many measurements found theirs."""
        every, count = list(starts), 0
        for first in range(0, len(every), ADOPTED_AT_ONCE):
            request = api.AdoptTrialsRequest(runs=map(_start, every[first : first + ADOPTED_AT_ONCE]))
            count += (await self._call("AdoptTrials", request)).measurements
        return count

    async def record_stops(self, reasons: Mapping[Key, str]) -> None:
        """Have the next report of each run answered with stop, and with this reason."""
        stops = [api.RunStop(trial_uid=uid, attempt=attempt, reason=why) for (uid, attempt), why in reasons.items()]
        await self._call("RecordStops", api.RecordStopsRequest(stops=stops))

    async def delete(self, trial_uids: Iterable[str]) -> None:
        """Forget trials, some at a time; one that is not there is no error."""
        every = list(trial_uids)
        for first in range(0, len(every), DELETED_AT_ONCE):
            uids = every[first : first + DELETED_AT_ONCE]
            await self._call("DeleteTrials", api.DeleteTrialsRequest(trial_uids=uids))

    async def held(self, namespace: str = "") -> set[str]:
        """The uids of all trials that the log has something of: `delete(held() - alive)` is the sweep."""
        found: set[str] = set()
        request = api.ListTrialsRequest(namespace=namespace)
        while True:
            reply = await self._call("ListTrials", request)
            found.update(reply.trial_uids)
            if not reply.more:
                return found
            request.after = reply.end

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()

    async def _follow(self, request: api.FollowRequest) -> tuple[int, list[Arrived]]:
        rows: list[Arrived] = []

        async def follow() -> None:
            async for reply in self._stream("Follow", request):
                for log in reply.logs:
                    key = (log.run.trial_uid, log.run.attempt)
                    rows.extend(Arrived(item.cursor, Reported(*key, measurement(item))) for item in log.measurements)
                request.cursor = reply.cursor  # where a call that breaks off is taken up again

        await self._until_answered(follow)
        return request.cursor, rows

    async def _call(self, method: str, request: Any) -> Any:
        return await self._until_answered(
            lambda: self._method(method)(
                request, timeout=min(CALL_SECONDS, self._patience), metadata=self._metadata, wait_for_ready=True
            )
        )

    def _stream(self, method: str, request: Any) -> Any:
        return self._method(method)(request, timeout=self._patience, metadata=self._metadata, wait_for_ready=True)

    def _method(self, method: str) -> Any:
        return rpc.call(self._channel, "ObservationLogs", method)

    async def _until_answered(self, work: Callable[[], Awaitable[T]]) -> T:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + self._patience, PAUSE_SECONDS
        while True:
            try:
                return await work()
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    refused = f"the db-manager at {self.address} answers {error.code().name}: {error.details()}"
                    raise StoreUnavailable(refused) from error
                if loop.time() + pause >= deadline:
                    away = f"the db-manager at {self.address} has not answered for {self._patience:g} s"
                    raise StoreUnavailable(f"{away}: {error.details()}") from error
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _run(run: Run) -> api.Run:
    return api.Run(namespace=run.namespace, trial_uid=run.trial_uid, attempt=run.attempt)


def _start(start: Start) -> api.RunStart:
    run = start.run
    return api.RunStart(run=_run(run), trial_name=run.trial_name, started=to_microseconds(start.started))
