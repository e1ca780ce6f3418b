"""The output of a container, read through the API server: once, or followed while it grows."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Final, NamedTuple
from urllib.parse import urlencode

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.resources import PODS
from katib_py.collectors.collector import Heard
from katib_py.collectors.files import Format
from katib_py.collectors.lines import Line, LineSplitter
from katib_py.core.objective import Measurement
from katib_py.core.times import format_rfc3339, from_microseconds, parse_rfc3339, to_microseconds

# A position is the microsecond of the line and which of its measurements it is: the same however often the log is read,
# and in order also when the kubelet has rotated the file that bytes would be counted in.
PER_MICROSECOND: Final = 4096
SILENT_SECONDS: Final = 3600.0
REDRAWN: Final = b"\0"  # stands for a carriage return: a line that is drawn anew has one time stamp for all


class Output(NamedTuple):
    """Whose output: a container of a pod."""

    namespace: str
    pod: str
    container: str


def _second(position: int) -> datetime:
    return from_microseconds(position // PER_MICROSECOND).replace(microsecond=0)


class LogReader:
    """Reads one container's output; what was read before is passed over when it reads again.

    The API takes no place to go on from but a whole second. So the lines of the newest second are remembered, whatever
    their order: two streams of one container are stamped apart from each other, and a rotated file lacks some of them.
    With `position`, that of a measurement, the first reading begins in its second.
    """

    def __init__(self, api: Api, output: Output, format: Format, position: int | None = None) -> None:
        self.output = output
        self._api = api
        self._format = format
        self._heard = Heard()
        self._second = None if position is None else _second(position)  # of the newest line
        self._lines: Counter[int] = Counter()  # the digests of the lines of that second
        self._microsecond = 0
        self._ordinal = 0

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the output that look like metrics."""
        return self._heard.names

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._heard.notes()

    async def read(
        self, follow: bool = False, last: bool = False, opened: asyncio.Event | None = None
    ) -> AsyncIterator[list[Measurement]]:
        """What is new, as it comes; with `follow` until the container has ended. Raises ApiError.

        A line without its end is left for the next reading, unless this is the `last`. `opened` is set once lines that
        come from now on are not missed.
        """
        again = self._lines.copy()
        lines = LineSplitter()
        async with self._api.stream(self._path(follow), SILENT_SECONDS) as response:
            if opened is not None:
                opened.set()
            async for chunk in response.content.iter_any():
                whole = lines.feed(chunk.replace(b"\r", REDRAWN))
                if found := [item for line in whole for item in self._line(line, again)]:
                    yield found
        if last and (found := [item for line in lines.finish() for item in self._line(line, again)]):
            yield found

    def _path(self, follow: bool) -> str:
        query = {"container": self.output.container, "timestamps": "true"}
        if self._second is not None:
            query["sinceTime"] = format_rfc3339(self._second)
        if follow:
            query["follow"] = "true"
        return f"{PODS.path(self.output.namespace, self.output.pod, 'log')}?{urlencode(query)}"

    def _line(self, line: Line, again: Counter[int]) -> list[Measurement]:
        stamp, _, text = line.text.partition(b" ")
        moment = parse_rfc3339(stamp.decode(errors="replace"))
        if moment is None:
            self._heard.once("stamp", f"its output cannot be read: {line.text[:200].decode(errors='replace')}")
            return []
        digest = hash(line.text)
        if again[digest]:
            again[digest] -= 1
            return []
        self._remember(moment.replace(microsecond=0), digest)
        found: list[Measurement] = []
        for piece in text.split(REDRAWN):
            found += self._format.parse(Line(0, piece, line.cut), moment, self._heard)
        return [item._replace(position=self._position(moment)) for item in found]

    def _remember(self, second: datetime, digest: int) -> None:
        if self._second is None or second > self._second:
            self._second = second
            self._lines.clear()
        if second == self._second:
            self._lines[digest] += 1

    def _position(self, moment: datetime) -> int:
        microsecond = to_microseconds(moment)
        self._ordinal = self._ordinal + 1 if microsecond == self._microsecond else 0
        self._microsecond = microsecond
        return microsecond * PER_MICROSECOND + min(self._ordinal, PER_MICROSECOND - 1)
