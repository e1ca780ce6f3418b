"""Measurements to and from the messages of the ObservationLogs service."""

from __future__ import annotations

from collections.abc import Iterable

from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds, to_microseconds
from katib_py.wire import api


def add_measurement(log: api.RunLog, item: Measurement, cursor: int = 0) -> None:
    """Append a measurement to the message."""
    time = to_microseconds(item.time)
    log.measurements.add(metric=item.metric, value=item.value, time=time, position=item.position, cursor=cursor)


def measurements(messages: Iterable[api.Measurement]) -> list[Measurement]:
    """The measurements of the messages."""
    return [measurement(message) for message in messages]


def measurement(message: api.Measurement) -> Measurement:
    """The measurement of one message; raises OverflowError for a time outside the years 1 to 9999."""
    return Measurement(message.metric, message.value, from_microseconds(message.time), message.position)
