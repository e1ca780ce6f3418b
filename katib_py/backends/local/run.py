"""One run of a trial on this machine, and what there is to report of it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from katib_py.backends.local import final
from katib_py.backends.local.companion import Companion
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.program import Program
from katib_py.collectors.collector import Collector
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core.objective import Measurement


@dataclass(slots=True)
class Run:
    """A run that the engine ordered. `start` numbers the starts in its folder; `ending` is the task that ends it.

    `following` scrapes what a running program serves. `starting`: its process is on its way; `unwanted`: and
    to be ended when it comes. `concluding`: its process is gone, and its collector may still report.
    """

    order: RunOrder
    folder: RunFolder
    program: Program
    start: int = 1
    process: RunProcess | None = None
    collector: Collector | None = None
    companion: Companion | None = None
    ending: asyncio.Task[None] | None = None
    following: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = None
    starting: bool = False
    unwanted: bool = False
    concluding: bool = False
    done: bool = False

    def report(self, phase: RunPhase | None, reason: str = "", detail: str = "") -> RunReport:
        """A report of this attempt."""
        return RunReport(self.order.name, self.order.trial.attempt, phase, reason=reason, detail=detail)

    def let_go(self) -> None:
        """Watch the run no longer; it goes on."""
        if self.process is not None:
            self.process.let_go()
        if self.companion is not None:
            self.companion.let_go()
        if self.timer is not None:
            self.timer.cancel()
        if self.following is not None:
            self.following.cancel()


def conclude(run: Run, measurements: tuple[Measurement, ...], now: float, rebooted: bool = False) -> RunReport:
    """The report of a run whose process is gone, by what its folder says; `rebooted`: the machine was, meanwhile."""
    told, status = run.folder.stop_reason(), run.folder.exit_status()
    name, attempt, document = run.order.name, run.order.trial.attempt, run.order.document
    seen = run.collector.seen if run.collector is not None else ()
    if told == final.DEADLINE:
        message = f"the run was active for longer than {run.program.deadline:g} s"
        ended = final.failed(document, final.DEADLINE, message, now)
        return RunReport(name, attempt, RunPhase.ENDED, measurements, ended, seen=seen)
    if told is not None:
        return _told_to_stop(run, measurements, told)
    if status is None:
        detail = f"the run ended without an exit status; its output is in {run.folder.output}"
        return RunReport(name, attempt, RunPhase.LOST, measurements, disrupted=rebooted, detail=detail, seen=seen)
    if status == 0:
        ended = final.succeeded(document, now)
        return RunReport(name, attempt, RunPhase.ENDED, measurements, ended, seen=seen)
    retry = run.order.trial.retries < run.program.backoff
    message = "\n".join(filter(None, (final.exit_words(status), run.folder.tail())))
    ended = final.failed(document, final.BACKOFF, message, now)
    return RunReport(name, attempt, RunPhase.ENDED, measurements, ended, retry=retry, seen=seen)


def _told_to_stop(run: Run, measurements: tuple[Measurement, ...], why: str) -> RunReport:
    name, attempt = run.order.name, run.order.trial.attempt
    if run.ending is None and run.order.trial.stop is None:
        # Somebody stopped it while no engine was there: a new attempt, counted as nobody's failure.
        return RunReport(name, attempt, RunPhase.LOST, measurements, disrupted=True, detail=why)
    return RunReport(name, attempt, RunPhase.ENDED, measurements, run.order.document, stopped=True, detail=why)
