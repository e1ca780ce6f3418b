"""The process beside a training that reads its metrics while it runs, and reports them."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from katib_py.collectors.collector import Collector
from katib_py.collectors.kinds import Place
from katib_py.collectors.prometheus import PrometheusCollector
from katib_py.collectors.reporter import Reporter
from katib_py.core.objective import Measurement, ObjectiveSpec, ObservationFold
from katib_py.core.summary import Summary

EVERY_SECONDS: Final = 0.5
CALL_SECONDS: Final = 5.0
# Shares of the time that is left at the end: for reporting, and for reading what cannot be reported any more.
REPORTING: Final = 0.8
READING: Final = 0.95
MOST_NOTES: Final = 10

NOWHERE: Final = Place(Path())  # the collectors of a sidecar read no output


class Sidecar:
    """Reads and reports until told to end, then takes the rest; `run` says how that went."""

    def __init__(self, collector: Collector, objective: ObjectiveSpec, reporter: Reporter) -> None:
        self._collector = collector
        self._objective = objective
        self._reporter = reporter
        self._fold = ObservationFold(objective.metric_names)
        self._appeared = False
        self._notes: list[str] = []
        self._ended = False  # the collector has nothing more

    async def run(self, told: asyncio.Event, grace: float) -> Summary:
        """Collect until `told`, and at most `grace` seconds longer."""
        following = asyncio.create_task(self._follow())
        telling = asyncio.create_task(told.wait())
        await asyncio.wait({following, telling}, return_when=asyncio.FIRST_COMPLETED)
        now = time.monotonic()
        if following.done():
            telling.cancel()
            await following  # it never ends but by an error
        # A report that is broken off here is sent again, and known again.
        following.cancel()
        await asyncio.wait({following})
        return await self._finish(now + grace * REPORTING, now + grace * READING)

    async def _follow(self) -> None:
        while True:
            if not self._reporter.full:
                if isinstance(self._collector, PrometheusCollector):
                    await self._collector.scrape()
                self._reporter.add(self._read())
            await self._reporter.send(CALL_SECONDS)
            if self._reporter.full or not self._collector.behind:
                await asyncio.sleep(EVERY_SECONDS)

    async def _finish(self, reporting: float, reading: float) -> Summary:
        """The training has ended: read to the end and report until the one time, then only read until the other."""
        while (left := reporting - time.monotonic()) > 0:
            if not self._reporter.full and not self._ended:
                self._reporter.add(self._read(final=not self._collector.behind))
            arrived = await self._reporter.send(min(left, CALL_SECONDS))
            if arrived and self._ended:
                return self._summary(True)
            if not arrived:
                await asyncio.sleep(min(EVERY_SECONDS, left))
        while not self._ended and time.monotonic() < reading:
            self._read(final=not self._collector.behind)
        return self._summary(False)

    def _read(self, final: bool = False) -> list[Measurement]:
        found = self._collector.read(datetime.now(UTC), final)
        self._ended = final
        for item in found:
            self._fold.add(item)
            self._appeared |= item.metric == self._objective.objective_metric_name
            print(f"{item.time.isoformat()} {item.metric}={item.value}")
        for note in self._collector.notes():
            print(note, file=sys.stderr)
            self._notes.append(note)
        sys.stdout.flush()
        return found

    def _summary(self, reported: bool) -> Summary:
        seen = () if self._appeared else self._collector.seen
        reason = "" if reported else self._reporter.trouble or "there was no time to report everything"
        return Summary(reported, reason, self._fold.metrics(), seen, tuple(self._notes[:MOST_NOTES]))


def leave(path: str, text: str) -> None:
    """Put the text into the termination message; where there is none, nobody reads it."""
    with suppress(OSError):
        Path(path).write_text(text, errors="replace")
