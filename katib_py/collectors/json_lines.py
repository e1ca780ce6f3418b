"""Measurements in JSON lines: `{"loss": 0.12, "accuracy": "0.97", "timestamp": 1764000000.25}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from katib_py.collectors.collector import Heard, is_number
from katib_py.collectors.lines import Line
from katib_py.core.objective import Measurement, ObjectiveSpec
from katib_py.core.times import from_microseconds, parse_rfc3339

TIMESTAMP: Final = "timestamp"
# Epochs that are written in milli-, micro- or nanoseconds: as seconds they would lie beyond the year 5000.
_SCALES: Final = ((Decimal(10) ** 17, -3), (Decimal(10) ** 14, 0), (Decimal(10) ** 11, 3))


class JsonFormat:
    """Reads one JSON object per line: metrics by name, as numbers or as text, and `timestamp`.

    The timestamp is RFC 3339 text or seconds since the epoch; without one the time of reading counts. A line that is no
    object is passed over.
    """

    def __init__(self, objective: ObjectiveSpec) -> None:
        self._objective = objective.objective_metric_name
        self._metrics = frozenset(objective.metric_names)

    def parse(self, line: Line, now: datetime, heard: Heard) -> list[Measurement]:
        """The measurements of a line, in their order on it; all have the line's place."""
        if not line.text.strip():
            return []
        values = _object(line)
        if values is None:
            heard.once("broken", f"the line at byte {line.offset} is no JSON object; such lines are passed over")
            return []
        numbers = {name: value for name, value in values.items() if isinstance(value, str) and is_number(value)}
        if self._objective in numbers:
            heard.satisfied()
        if heard.curious:
            for name in numbers.keys() - self._metrics - {TIMESTAMP}:
                heard.name(name)
        time = _time(values.get(TIMESTAMP)) or now
        return [
            Measurement(name, value.strip(), time, line.offset)
            for name, value in numbers.items()
            if name in self._metrics
        ]


def _object(line: Line) -> Mapping[str, Any] | None:
    """The object with its numbers as the text that was written, `null` as an empty one; None for anything else."""
    if line.cut:
        return None
    try:
        value = json.loads(line.text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    if value is None:
        return {}
    return value if isinstance(value, dict) else None


def _time(stamp: object) -> datetime | None:
    if not isinstance(stamp, str):
        return None
    if (time := parse_rfc3339(stamp)) is not None:
        return time
    try:
        seconds = Decimal(stamp)
        shift = next((shift for least, shift in _SCALES if abs(seconds) >= least), 6)
        return from_microseconds(int(seconds.scaleb(shift)))
    except (InvalidOperation, ValueError, OverflowError):
        return None
