"""Measurements in printed lines: `epoch 3 loss=0.12 accuracy=0.97`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from katib_py.collectors.collector import Heard, is_number
from katib_py.collectors.filters import compile_filters, readable
from katib_py.collectors.lines import Line
from katib_py.core.objective import Measurement, ObjectiveSpec
from katib_py.core.times import parse_rfc3339


class TextFormat:
    """Reads lines by an experiment's filters; compiled once and shared by its trials.

    A line's time is its first token, if that is RFC 3339. A value that is no number gives no measurement. Raises
    InvalidInput for filters that cannot be used.
    """

    def __init__(self, objective: ObjectiveSpec, patterns: tuple[str, ...] = ()) -> None:
        self._objective = objective.objective_metric_name
        self._metrics = {name.encode(): name for name in objective.metric_names}
        self._names = tuple(self._metrics)
        self._filters = compile_filters(patterns)
        self._raw = not patterns  # the default filter looks at ASCII only, so broken UTF-8 cannot harm it

    def parse(self, line: Line, now: datetime, heard: Heard) -> list[Measurement]:
        """The measurements of a line, in their order on it."""
        if line.cut:
            heard.once(
                "cut", f"a line at byte {line.offset} is longer than {len(line.text)} bytes; its rest is not read"
            )
        text = line.text
        wanted = any(name in text for name in self._names)
        if not wanted and not heard.curious:
            return []
        found: dict[tuple[int, str], str] = {}
        for name, value, start, end in self._matches(text):
            if line.cut and end == len(text):
                continue  # its value may be cut as well
            metric = self._metrics.get(name)
            if metric is not None:
                found.setdefault((start, metric), value)
            elif heard.curious:
                heard.name(name.decode(errors="replace"))
        if not found:
            return []
        if any(metric == self._objective for _, metric in found):
            heard.satisfied()
        time = _time(text) or now
        return [Measurement(metric, found[start, metric], time, line.offset + start) for start, metric in sorted(found)]

    def _matches(self, text: bytes) -> Iterator[tuple[bytes, str, int, int]]:
        """Name, value, and where the value begins and ends; only values that are numbers."""
        if not self._raw:
            text = readable(text)
        pattern: Any
        for pattern in self._filters:
            for match in pattern.finditer(text):
                name, value = match.group(1), match.group(2)
                if name and value:
                    number = value.decode(errors="replace").strip()
                    if is_number(number):
                        yield name.strip(), number, match.start(2), match.end(2)


def _time(text: bytes) -> datetime | None:
    # A look at two bytes spares nearly every line the rest.
    if text[10:11] != b"T" or not text[:1].isdigit():
        return None
    return parse_rfc3339(text.split(b" ", 1)[0].decode(errors="replace"))
