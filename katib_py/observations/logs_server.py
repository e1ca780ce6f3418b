"""The ObservationLogs service: what a controller needs of the log, many trials at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

import grpc
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds
from katib_py.observations import adoption, reports, sweep
from katib_py.observations.gate import Gate
from katib_py.observations.log import PAGE, Run, append, delete_trials, pages, read_runs, reported
from katib_py.observations.transactions import Transactions
from katib_py.wire import api
from katib_py.wire.measurements import add_measurement, measurements

T = TypeVar("T")


class ObservationLogs:
    """The whole log over the network; the controller alone may call it where the gate has a key."""

    def __init__(self, database: Transactions, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    def Append(self, request: api.AppendRequest, context: Any) -> Any:  # noqa: N802
        """Record measurements, all or none."""
        self._gate.controller(context)
        rows = _understood(lambda: [(_run(log), measurements(log.measurements)) for log in request.logs], context)
        self._database.write(context, lambda connection: append(connection, rows))
        return api.AppendReply()

    def Read(self, request: api.ReadRequest, context: Any) -> Iterator[Any]:  # noqa: N802
        """Send the measurements of the runs that have any."""
        self._gate.controller(context)
        keys = [(run.trial_uid, run.attempt) for run in request.runs]
        yield from self._send(context, lambda connection: _read(connection, keys))

    def Follow(self, request: api.FollowRequest, context: Any) -> Iterator[Any]:  # noqa: N802
        """Send what is new."""
        self._gate.controller(context)
        wanted = None if request.every else set(request.trial_uids)
        asked = (request.cursor, wanted, request.namespace)
        yield from self._send(context, lambda connection: map(_followed, pages(connection, *asked)))

    def RegisterRuns(self, request: api.RegisterRunsRequest, context: Any) -> Any:  # noqa: N802
        """Note that runs begin."""
        self._gate.controller(context)
        starts = [(_run(start), _started(start, context)) for start in request.runs]

        def register(connection: Connection) -> None:
            for start in starts:
                reports.begin_run(connection, *start)

        self._database.write(context, register)
        return api.RegisterRunsReply()

    def AdoptTrials(self, request: api.AdoptTrialsRequest, context: Any) -> Any:  # noqa: N802
        """Note runs, and give them what came by their trials' names alone."""
        self._gate.controller(context)
        starts = [(_run(start), _started(start, context)) for start in request.runs]

        def adopt(connection: Connection) -> int:
            for start in starts:
                reports.begin_run(connection, *start)
            return sum(adoption.adopt(connection, run) for run, _ in starts)

        return api.AdoptTrialsReply(measurements=self._database.write(context, adopt))

    def RecordStops(self, request: api.RecordStopsRequest, context: Any) -> Any:  # noqa: N802
        """Tell runs to stop."""
        self._gate.controller(context)

        def record(connection: Connection) -> None:
            for stop in request.stops:
                reports.record_stop(connection, stop.trial_uid, stop.attempt, stop.reason)

        self._database.write(context, record)
        return api.RecordStopsReply()

    def DeleteTrials(self, request: api.DeleteTrialsRequest, context: Any) -> Any:  # noqa: N802
        """Forget trials; one that is not there is no error."""
        self._gate.controller(context)
        self._database.write(context, lambda connection: delete_trials(connection, list(request.trial_uids)))
        return api.DeleteTrialsReply()

    def ListTrials(self, request: api.ListTrialsRequest, context: Any) -> Any:  # noqa: N802
        """The next uids, and where to go on."""
        self._gate.controller(context)
        asked = (request.after, request.limit, request.namespace)
        uids, end = self._database.read(context, lambda connection: sweep.list_trials(connection, *asked))
        return api.ListTrialsReply(trial_uids=uids, more=end is not None, end=end or "")

    def _send(self, context: Any, replies: Callable[[Connection], Iterable[Any]]) -> Iterator[Any]:
        try:
            with self._database.engine.connect() as connection:
                yield from replies(connection)
        except SQLAlchemyError as error:
            self._database.give_up(error, context)


def _run(message: Any) -> Run:
    return Run(message.run.namespace, message.trial_name, message.run.trial_uid, message.run.attempt)


def _started(start: api.RunStart, context: Any) -> datetime:
    return _understood(lambda: from_microseconds(start.started), context)


def _understood(read: Callable[[], T], context: Any) -> T:
    try:
        return read()
    except OverflowError:
        told = "a time is outside the years 1 to 9999; it must be microseconds since 1970"
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, told)
        raise


def _read(connection: Connection, keys: list[tuple[str, str]]) -> Iterator[api.ReadReply]:
    """Replies of about PAGE measurements."""
    reply, count = api.ReadReply(), 0
    for key, items in read_runs(connection, keys):
        for start in range(0, len(items), PAGE):
            piece = items[start : start + PAGE]
            if count + len(piece) > PAGE:
                yield reply
                reply, count = api.ReadReply(), 0
            _add(reply.logs, key, ((item, 0) for item in piece))
            count += len(piece)
    yield reply


def _followed(page: tuple[int, list[Any]]) -> api.FollowReply:
    cursor, rows = page
    reply = api.FollowReply(cursor=cursor)
    for key, group in groupby(rows, lambda row: (row.trial_uid, row.attempt)):
        _add(reply.logs, key, ((reported(row).measurement, row.id) for row in group))
    return reply


def _add(logs: Any, key: tuple[str, str], items: Iterable[tuple[Measurement, int]]) -> None:
    log = logs.add()
    log.run.trial_uid, log.run.attempt = key
    for item, cursor in items:
        add_measurement(log, item, cursor)
