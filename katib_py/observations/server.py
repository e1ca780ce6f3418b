"""The DBManager service over the observation log, as Katib's clients and pushing trials call it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Final, NoReturn

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError, TimeoutError

from katib_py.core.errors import show
from katib_py.core.objective import Measurement
from katib_py.core.times import format_rfc3339, parse_rfc3339
from katib_py.observations import reports
from katib_py.observations.address import unusable
from katib_py.observations.database import create_all, writing
from katib_py.observations.log import Run, append
from katib_py.wire import api, rpc

WORKERS: Final = 8
SERVICE: Final = f"{rpc.PACKAGE}.DBManager"
HEALTH: Final = "grpc.health.v1.Health"


class DBManager:
    """Katib's DBManager: report, read and delete what trials measured (control-plane.md §8.3).

    A report with a Run is kept by attempt and position, one without is placed by trial name and time. The reply says
    whether the attempt has been told to stop.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._writing = writing(engine)

    def ReportObservationLog(self, request: api.ReportObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """Record a report whole or, where a time in it cannot be read, not at all."""
        entries = [entry for entry in request.observation_log.metric_logs if entry.time_stamp]
        items = [_measurement(entry, _time(entry.time_stamp, "time_stamp", context)) for entry in entries]
        try:
            with self._writing.begin() as connection:
                run = _run(connection, request, items)
                append(connection, [(run, [item for item in items if item.position])])
                reports.append_by_time(connection, run, [item for item in items if not item.position])
                reason = reports.stop_of(connection, run.trial_uid, run.attempt)
        except SQLAlchemyError as error:
            _give_up(error, context)
        return api.ReportObservationLogReply(stop=reason is not None, stop_reason=reason or "")

    def GetObservationLog(self, request: api.GetObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """The measurements of the trial's last attempt, by time."""
        start = _time(request.start_time, "start_time", context) if request.start_time else None
        end = _time(request.end_time, "end_time", context) if request.end_time else None
        query = reports.Query(request.metric_name, start, end)
        try:
            with self._engine.connect() as connection:
                items = reports.read_named(connection, request.namespace, request.trial_name, query)
        except SQLAlchemyError as error:
            _give_up(error, context)
        return api.GetObservationLogReply(observation_log=_observation_log(items))

    def DeleteObservationLog(self, request: api.DeleteObservationLogRequest, context: Any) -> Any:  # noqa: N802
        """Forget the trial's measurements; one that has none is no error."""
        try:
            with self._writing.begin() as connection:
                reports.delete_named(connection, request.namespace, request.trial_name)
        except SQLAlchemyError as error:
            _give_up(error, context)
        return api.DeleteObservationLogReply()


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Serving while the database answers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Katib's check: of the whole server, or of the health service by name."""
        if request.service not in {"", HEALTH, SERVICE}:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no service {show(request.service)} here; ask for {SERVICE}")
        try:
            with self._engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError as error:
            _give_up(error, context)
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)


def serve(engine: Engine, listen: str, *interceptors: grpc.ServerInterceptor) -> tuple[grpc.Server, str]:
    """Start serving the database on HOST:PORT or unix:PATH; the server and its address. Port 0 takes a free one.

    Raises InvalidInput for text that is no address, OSError where the address cannot be had, StoreUnavailable.
    """
    try:
        create_all(engine)
    except (DBAPIError, OSError) as error:
        raise unusable(engine.url.render_as_string(hide_password=False), error) from error
    options = (*rpc.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(WORKERS, "db-manager"), options=options, interceptors=interceptors)
    server.add_generic_rpc_handlers((rpc.handler("DBManager", DBManager(engine)),))
    health_pb2_grpc.add_HealthServicer_to_server(Health(engine), server)
    reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server, pool=_pool())
    address = rpc.listen(server, listen)
    server.start()
    return server, address


def _pool() -> Any:
    """The wire's own descriptors, with those of the health service beside them."""
    api.POOL.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
    return api.POOL


def _run(connection: Any, request: api.ReportObservationLogRequest, items: list[Measurement]) -> Run:
    run = request.run
    if run.trial_uid and run.attempt:
        return Run(run.namespace, request.trial_name, run.trial_uid, run.attempt)
    time = max((item.time for item in items), default=None)
    placed = reports.place(connection, run.namespace, request.trial_name, time)
    # Whoever names the uid knows of no other trial: one of the same name that was deleted is not meant.
    return placed if run.trial_uid in {"", placed.trial_uid} else Run(*placed[:2], run.trial_uid, "")


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


def _give_up(error: SQLAlchemyError, context: Any) -> NoReturn:
    """UNAVAILABLE, which callers retry, where the database may answer later; else INTERNAL."""
    passing = isinstance(error, OperationalError | InterfaceError | TimeoutError)
    code = grpc.StatusCode.UNAVAILABLE if passing else grpc.StatusCode.INTERNAL
    context.abort(code, f"the database does not answer: {error}" if passing else f"the database refuses: {error}")
    raise AssertionError("abort raises")
