"""What a training program calls to report its metrics, and to learn whether it shall go on."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, Final, SupportsFloat

from katib_py.core.addresses import default_address
from katib_py.core.names import (
    ENV_TRIAL_ATTEMPT,
    ENV_TRIAL_NAME,
    ENV_TRIAL_NAMESPACE,
    ENV_TRIAL_TOKEN,
    ENV_TRIAL_UID,
)
from katib_py.core.tokens import call_metadata

if TYPE_CHECKING:
    from katib_py.wire import api

PAUSE_SECONDS: Final = 0.2
LONGEST_PAUSE_SECONDS: Final = 5.0
# A position tells the reports of this process from each other and, as it starts from the clock, from those of others.
_positions: Final = count(time.time_ns())
_channels: Final[dict[tuple[int, str], Any]] = {}


@dataclass(frozen=True, slots=True)
class Reported:
    """The answer to a report: true when the trial shall stop, and why in words."""

    stop: bool = False
    reason: str = ""

    def __bool__(self) -> bool:
        return self.stop


def report_metrics(
    metrics: Mapping[str, SupportsFloat | str], db_manager_address: str | None = None, timeout: float = 120
) -> Reported:
    """Report the current values of the trial's metrics: `if report_metrics({"loss": loss}): break`.

    Tries for `timeout` seconds while the server cannot be reached; a report that arrives twice counts once. Raises
    ValueError outside a trial and for a value that is no number, RuntimeError where the report is not taken.
    """
    trial = os.environ.get(ENV_TRIAL_NAME)
    if not trial:
        raise ValueError(f"{ENV_TRIAL_NAME} is not set; report_metrics works inside a trial only")
    address = db_manager_address or default_address(os.environ)
    return _send(_request(trial, {name: _text(name, value) for name, value in metrics.items()}), address, timeout)


def _request(trial: str, values: Mapping[str, str]) -> api.ReportObservationLogRequest:
    from katib_py.wire import api

    run = api.Run(
        namespace=os.environ.get(ENV_TRIAL_NAMESPACE, ""),
        trial_uid=os.environ.get(ENV_TRIAL_UID, ""),
        attempt=os.environ.get(ENV_TRIAL_ATTEMPT, ""),
    )
    request = api.ReportObservationLogRequest(trial_name=trial, run=run)
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    position = next(_positions)
    for name, value in values.items():
        entry = request.observation_log.metric_logs.add(time_stamp=now, position=position)
        entry.metric.name, entry.metric.value = name, value
    return request


def _send(request: api.ReportObservationLogRequest, address: str, timeout: float) -> Reported:
    import grpc

    from katib_py.wire import rpc

    report = rpc.call(_channel(address), "DBManager", "ReportObservationLog")
    token = call_metadata(os.environ.get(ENV_TRIAL_TOKEN, ""))
    deadline = time.monotonic() + timeout
    pause = PAUSE_SECONDS
    while True:
        left = deadline - time.monotonic()
        try:
            reply = report(request, timeout=max(left, 0.0), wait_for_ready=True, metadata=token)
        except grpc.RpcError as error:
            left = deadline - time.monotonic()
            if error.code() is not grpc.StatusCode.UNAVAILABLE or left <= 0:
                raise RuntimeError(_trouble(error, address, timeout)) from error
            time.sleep(min(pause, left))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        else:
            return Reported(reply.stop, reply.stop_reason)


def _channel(address: str) -> Any:
    """One channel per process and address; a forked child needs its own."""
    import grpc

    from katib_py.wire import rpc

    key = (os.getpid(), address)
    if key not in _channels:
        _channels[key] = grpc.insecure_channel(address, rpc.REPORT_OPTIONS)
    return _channels[key]


def _trouble(error: Any, address: str, timeout: float) -> str:
    if error.code().name in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
        return f"the metrics could not be reported: no answer from {address} within {timeout:g} s ({error.details()})"
    return f"the metrics could not be reported: {address} answers {error.code().name}: {error.details()}"


def _text(name: str, value: SupportsFloat | str) -> str:
    """The value as it prints itself where that is a number (numpy's 0.1 stays 0.1), else as a float (a tensor's)."""
    for text in (str, lambda number: repr(float(number))):
        try:
            float(shown := text(value).strip())
        except (TypeError, ValueError):
            continue
        return shown
    raise ValueError(f"metric {name!r} is {value!r}; must be a number")
