"""Measurements that a running program serves as Prometheus metrics."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from urllib.parse import quote

from katib_py.collectors.collector import Heard, is_number
from katib_py.core.objective import Measurement, ObjectiveSpec
from katib_py.core.times import from_microseconds, to_microseconds

EVERY_SECONDS: Final = 0.5
TIMEOUT_SECONDS: Final = 5.0
LARGEST: Final = 1 << 24

_SAMPLE: Final = re.compile(
    r'\s*(?P<name>[a-zA-Z_:][\w:]*)\s*(?P<labels>\{(?:[^"}]|"(?:[^"\\]|\\.)*")*\})?\s+(?P<value>\S+)(?:\s+(?P<time>-?\d+))?\s*',
    re.ASCII,
)
_LABEL: Final = re.compile(r'([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"', re.ASCII)


class Sample(NamedTuple):
    """One line of a page; `labels` as `a="b",c="d"` in order of name, `time` in milliseconds since the epoch."""

    name: str
    labels: str
    value: str
    time: int | None

    @property
    def series(self) -> str:
        """The name with its labels, as a metric may be written in the Experiment."""
        return f"{self.name}{{{self.labels}}}" if self.labels else self.name


class Target(NamedTuple):
    """Where to scrape."""

    host: str
    port: int
    path: str
    tls: bool = False

    def __str__(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{self.path}"


def parse_page(page: str) -> Iterator[Sample]:
    """The samples of a page in the text format; lines that are none are passed over."""
    for line in page.splitlines():
        match = None if line.lstrip().startswith("#") else _SAMPLE.fullmatch(line)
        if match is not None:
            labels = ",".join(sorted(f'{name}="{value}"' for name, value in _LABEL.findall(match["labels"] or "")))
            yield Sample(match["name"], labels, match["value"], int(match["time"]) if match["time"] else None)


class PrometheusCollector:
    """Scrapes one program while it runs: `follow` does it, `read` hands out what was found.

    A metric is a series by its name, or by name and labels: `loss` or `loss{split="test"}`. A value is a measurement
    when it differs from the one before, or carries another time. Its position is the time of reading in microseconds.
    """

    behind = False

    def __init__(self, target: Target, objective: ObjectiveSpec) -> None:
        self._target = target
        self._objective = objective
        self._heard = Heard()
        self._found: list[Measurement] = []
        self._last: dict[str, tuple[str, int | None]] = {}
        self._position = 0
        self._trouble = ""
        self._answered = False

    @property
    def seen(self) -> tuple[str, ...]:
        """The series of the pages."""
        return self._heard.names

    async def follow(self, every: float = EVERY_SECONDS) -> None:
        """Scrape until cancelled; a program that does not answer is asked again."""
        while True:
            await self.scrape()
            await asyncio.sleep(every)

    async def scrape(self) -> None:
        """Scrape once; whatever goes wrong is noted, not raised."""
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                page = await _fetch(self._target)
        except (OSError, TimeoutError, ValueError, EOFError, asyncio.LimitOverrunError) as error:
            self._trouble = str(error) or type(error).__name__
            return
        self._answered = True
        self.take(page, datetime.now(UTC))

    def take(self, page: str, now: datetime) -> None:
        """The measurements of one page."""
        samples = list(parse_page(page))
        series = {sample.series: sample for sample in reversed(samples)}
        first = {sample.name: sample for sample in reversed(samples)}
        for metric in self._objective.metric_names:
            sample = series.get(_canonical(metric)) or first.get(metric)
            if sample is not None and is_number(_plain(sample.value)):
                if sum(other.name == metric for other in samples) > 1 and metric not in series:
                    words = f"{metric} has several series; {sample.series} is read. Name one of them to choose"
                    self._heard.once(metric, words)
                self._measure(metric, sample, now)
        if self._heard.curious:
            for name in series:
                self._heard.name(name)

    def read(self, now: datetime, final: bool = False) -> list[Measurement]:
        """What scraping found since."""
        if final and not self._answered:
            self._heard.once("silent", f"{self._target} gave no metrics: {self._trouble or 'it was not asked'}")
        found, self._found = self._found, []
        return found

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._heard.notes()

    def _measure(self, metric: str, sample: Sample, now: datetime) -> None:
        if self._last.get(metric) == (sample.value, sample.time):
            return
        self._last[metric] = (sample.value, sample.time)
        if metric == self._objective.objective_metric_name:
            self._heard.satisfied()
        self._position = max(to_microseconds(now), self._position + 1)
        time = now if sample.time is None else _time(sample.time) or now
        self._found.append(Measurement(metric, _plain(sample.value), time, self._position))


def _canonical(metric: str) -> str:
    """A metric with labels as `Sample.series` writes it."""
    sample = next(parse_page(f"{metric} 0"), None)
    return metric if sample is None else sample.series


def _plain(value: str) -> str:
    """+Inf as other programs print it."""
    return value.removeprefix("+")


def _time(milliseconds: int) -> datetime | None:
    try:
        return from_microseconds(milliseconds * 1000)
    except OverflowError:
        return None


async def _fetch(target: Target) -> str:
    """The page at the target; raises OSError, and ValueError and its like for an answer that is no page."""
    reader, writer = await asyncio.open_connection(target.host, target.port, ssl=_tls() if target.tls else None)
    try:
        # HTTP/1.0: the answer ends with the connection and is never chunked.
        path = quote(target.path, safe="/?&=%:,;+~")
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {target.host}:{target.port}\r\nAccept: text/plain\r\n\r\n".encode())
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        status = head.split(b"\r\n", 1)[0].decode(errors="replace").split(" ", 2)
        if len(status) < 2 or status[1] != "200":
            raise ValueError(f"it answers {' '.join(status[1:]) or 'no HTTP'}")
        body = bytearray()
        while chunk := await reader.read(1 << 16):
            body += chunk
            if len(body) > LARGEST:
                raise ValueError(f"its page is longer than {LARGEST} bytes")
        return body.decode("utf-8", "replace")
    finally:
        writer.close()


def _tls() -> ssl.SSLContext:
    """No verification: a program in a trial signs for itself (Kubernetes' probes do the same)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
