"""The output of a container, read through the API server: once, or followed while it grows."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.resources import PODS
from katib_py.collectors.collector import Heard
from katib_py.collectors.files import Format
from katib_py.collectors.lines import Line, LineSplitter
from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds, parse_rfc3339, to_microseconds

# A position is the microsecond of the line and which of its measurements it is: the same however often the log is read,
# and in order also when the kubelet has rotated the file that bytes would be counted in.
PER_MICROSECOND: Final = 4096
SILENT_SECONDS: Final = 3600.0
REDRAWN: Final = b"\0"  # stands for a carriage return: a line that is drawn anew has one time stamp for all
FRACTION: Final = re.compile(rb"\.(\d{6})\d*")


class Output(NamedTuple):
    """Whose output: a container of a pod."""

    namespace: str
    pod: str
    container: str


class LogReader:
    """Reads one container's output; what was read before is passed over when it reads again.

    With `position`, that of a measurement, the first reading begins in its second.
    """

    def __init__(self, api: Api, output: Output, format: Format, position: int | None = None) -> None:
        self.output = output
        self._api = api
        self._format = format
        self._heard = Heard()
        self._since = b"" if position is None else _second(position)
        self._stamp = b""  # of the newest line
        self._same = 0  # lines that had it
        self._microsecond = 0
        self._ordinal = 0

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the output that look like metrics."""
        return self._heard.names

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._heard.notes()

    async def read(self, follow: bool, growing: bool = False) -> AsyncIterator[list[Measurement]]:
        """What is new, as it comes; with `follow` until the container has ended. Raises ApiError.

        Where the log is still growing, a last line without its end is left for the next reading.
        """
        query = {"container": self.output.container, "timestamps": "true"}
        if since := self._stamp[:19] or self._since:
            # The API server takes whole seconds; the lines of that second which were read are passed over.
            query["sinceTime"] = f"{since.decode()}Z"
        if follow:
            query["follow"] = "true"
        path = f"{PODS.path(self.output.namespace, self.output.pod, 'log')}?{urlencode(query)}"
        lines, passing = LineSplitter(), _Passing(self._stamp, self._same)
        async with self._api.stream(path, SILENT_SECONDS) as response:
            async for chunk in response.content.iter_any():
                whole = lines.feed(chunk.replace(b"\r", REDRAWN))
                if found := [item for line in whole for item in self._line(line, passing)]:
                    yield found
        if not growing and (found := [item for line in lines.finish() for item in self._line(line, passing)]):
            yield found

    def _line(self, line: Line, passing: _Passing) -> list[Measurement]:
        stamp, _, text = line.text.partition(b" ")
        if passing.over(stamp):
            return []
        self._same = self._same + 1 if stamp == self._stamp else 1
        self._stamp = stamp
        moment = parse_rfc3339(FRACTION.sub(rb".\1", stamp).decode(errors="replace"))
        if moment is None:
            return []
        found: list[Measurement] = []
        for piece in text.split(REDRAWN):
            found += self._format.parse(Line(0, piece, line.cut), moment, self._heard)
        return [item._replace(position=self._position(moment)) for item in found]

    def _position(self, moment: datetime) -> int:
        microsecond = to_microseconds(moment.astimezone(UTC))
        self._ordinal = self._ordinal + 1 if microsecond == self._microsecond else 0
        self._microsecond = microsecond
        return microsecond * PER_MICROSECOND + min(self._ordinal, PER_MICROSECOND - 1)


def _second(position: int) -> bytes:
    """The second that the position is in, as a stamp begins with it."""
    return f"{from_microseconds(position // PER_MICROSECOND):%Y-%m-%dT%H:%M:%S}".encode()


class _Passing:
    """Passes over the lines up to the newest that was read before."""

    def __init__(self, stamp: bytes, same: int) -> None:
        self._stamp = stamp
        self._left = same

    def over(self, stamp: bytes) -> bool:
        """Whether the line with this stamp was read before."""
        if not self._stamp or stamp > self._stamp:
            return False
        if stamp < self._stamp:
            return True
        self._left -= 1
        return self._left >= 0
