"""The DBManager service over the observation log, as Katib's clients and pushing trials call it, and the server."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from sqlalchemy import Connection, Engine, text

from katib_py.core.errors import show
from katib_py.core.objective import Measurement
from katib_py.core.times import format_rfc3339, parse_rfc3339
from katib_py.observations import reports
from katib_py.observations.gate import Gate
from katib_py.observations.log import Run, append
from katib_py.observations.logs_server import ObservationLogs
from katib_py.observations.transactions import Transactions
from katib_py.wire import api, rpc

WORKERS: Final = 8
SERVICE: Final = f"{rpc.PACKAGE}.DBManager"
LOGS: Final = f"{rpc.PACKAGE}.ObservationLogs"
HEALTH: Final = "grpc.health.v1.Health"


class DBManager:
    """Katib's DBManager: report, read and delete what trials measured (control-plane.md §8.3).

    A report with a Run is kept by attempt and position, one without is placed by trial name and time. The reply says
    whether the attempt has been told to stop.
    """

    def __init__(self, database: Transactions, gate: Gate) -> None:
        self._database = database
        self._gate = gate

    def ReportObservationLog(self, request: api.ReportObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """Record a report whole or, where a time in it cannot be read, not at all."""
        entries = [entry for entry in request.observation_log.metric_logs if entry.time_stamp]
        items = [_measurement(entry, _time(entry.time_stamp, "time_stamp", context)) for entry in entries]

        def record(connection: Connection) -> str | None:
            run = _run(connection, request, items)
            self._gate.trial(context, run)
            append(connection, [(run, [item for item in items if item.position])])
            reports.append_by_time(connection, run, [item for item in items if not item.position])
            return reports.stop_of(connection, run.trial_uid, run.attempt)

        reason = self._database.write(context, record)
        return api.ReportObservationLogReply(stop=reason is not None, stop_reason=reason or "")

    def GetObservationLog(self, request: api.GetObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """The measurements of the trial's last attempt, by time."""
        self._gate.controller(context)
        start = _time(request.start_time, "start_time", context) if request.start_time else None
        end = _time(request.end_time, "end_time", context) if request.end_time else None
        named = (request.namespace, request.trial_name, reports.Query(request.metric_name, start, end))
        items = self._database.read(context, lambda connection: reports.read_named(connection, *named))
        return api.GetObservationLogReply(observation_log=_observation_log(items))

    def DeleteObservationLog(self, request: api.DeleteObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """Forget the trial's measurements; one that has none is no error."""
        self._gate.controller(context)
        named = (request.namespace, request.trial_name)
        self._database.write(context, lambda connection: reports.delete_named(connection, *named))
        return api.DeleteObservationLogReply()


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Serving while the database answers."""

    def __init__(self, database: Transactions) -> None:
        self._database = database

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Katib's check: of the whole server, or of a service by name."""
        if request.service not in {"", HEALTH, SERVICE, LOGS}:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no service {show(request.service)} here; ask for {SERVICE}")
        self._database.read(context, lambda connection: connection.execute(text("SELECT 1")))
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def serve(
    engine: Engine, listen: str, *interceptors: grpc.ServerInterceptor, token_key: str = ""
) -> tuple[grpc.Server, str]:
    """Start serving the database on HOST:PORT or unix:PATH; the server and its address. Port 0 takes a free one.

    Its tables are there (`schema.prepare`). With a key, calls need its tokens. Raises InvalidInput for text that is no
    address, OSError where the address cannot be had.
    """
    database, gate = Transactions(engine), Gate(token_key)
    options = (*rpc.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(WORKERS, "db-manager"), options=options, interceptors=interceptors)
    manager = rpc.handler("DBManager", DBManager(database, gate))
    server.add_generic_rpc_handlers((manager, rpc.handler("ObservationLogs", ObservationLogs(database, gate))))
    health_pb2_grpc.add_HealthServicer_to_server(Health(database), server)
    reflection.enable_server_reflection((SERVICE, LOGS, HEALTH, reflection.SERVICE_NAME), server, pool=_pool())
    address = rpc.listen(server, listen)
    server.start()
    return server, address


def _pool() -> Any:
    """The wire's own descriptors, with those of the health service beside them."""
    api.POOL.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
    return api.POOL


def _run(connection: Connection, request: api.ReportObservationLogRequest, items: list[Measurement]) -> Run:
    named = Run(request.run.namespace, request.trial_name, request.run.trial_uid, request.run.attempt)
    if named.trial_uid and named.attempt:
        return named
    return reports.place(connection, named, max((item.time for item in items), default=None))


def _measurement(entry: api.MetricLog, time: datetime) -> Measurement:
    return Measurement(entry.metric.name, entry.metric.value, time, entry.position)


def _time(stamp: str, field: str, context: Any) -> datetime:
    time = parse_rfc3339(stamp)
    if time is None:
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            f"{field} is {show(stamp)}; must be RFC 3339, such as 2026-01-31T12:00:00.5Z",
        )
        raise AssertionError("abort raises")
    return time


def _observation_log(items: Iterable[Measurement]) -> api.ObservationLog:
    log = api.ObservationLog()
    for item in items:
        entry = log.metric_logs.add(time_stamp=format_rfc3339(item.time), position=item.position)
        entry.metric.name, entry.metric.value = item.metric, item.value
    return log
