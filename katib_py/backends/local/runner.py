"""Trials as processes of this machine, which outlive their controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from katib_py.backends.local import adoption, final
from katib_py.backends.local.adoption import State
from katib_py.backends.local.checkpoints import checkpoint_of
from katib_py.backends.local.companion import Companion
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.ending import end, sweep
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.launch import Calls, Launcher
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.program import Site
from katib_py.backends.local.resources import machine, refuse_impossible
from katib_py.backends.local.run import Run, conclude
from katib_py.backends.local.scan import Mark
from katib_py.backends.local.slots import Shortage
from katib_py.collectors.collector import Collector
from katib_py.collectors.kinds import Attach, Place, collector_for
from katib_py.collectors.prometheus import PrometheusCollector
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core.errors import Held
from katib_py.core.experiment import MetricsCollectorSpec
from katib_py.core.objective import Measurement

READ_SECONDS: Final = 0.25  # how often the output of live runs is read
LOOK_SECONDS: Final = 0.01
SWEEP_SECONDS: Final = 10.0  # how often what runs left behind outside their group is looked for


class LocalRunner:
    """The Runner port: one process group per run; `wake` is called when there is something to report.

    Made and used inside a running asyncio loop. Raises InvalidInput for a collector that cannot be used.
    """

    def __init__(self, site: Site, desk: Desk, wake: Callable[[], None]) -> None:
        self._desk = desk
        self._wake = wake
        self._attach = _collectors(site)
        self._launcher = Launcher(site, desk, Calls(self._started, self._waiting, self._refuse, self._unknown))
        self._runs: dict[str, Run] = {}
        self._live: dict[str, Run] = {}
        self._reports: list[RunReport] = []
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.TimerHandle | None = None
        self._swept = time.monotonic()
        self._tasks: set[asyncio.Task[None]] = set()
        self._mark = Mark("/".join((site.runs, *site.owner)), site.uid)

    def start(self, order: RunOrder) -> None:
        """Have this attempt running: starts it, or takes over what is there already."""
        folder = RunFolder(f"{self._mark.folder}/{order.name}/{order.trial.attempt}")
        if not order.adopt_only and folder.create():
            self._begin(order, folder, 1)
        elif order.fresh and not order.adopt_only:
            # A power cut may take the newest commits and leave the folder of a trial that had other parameters.
            checkpoint_of(folder).discard()
            detail = f"{folder.path} belongs to a run that the database has forgotten"
            self._report(RunReport(order.name, order.trial.attempt, RunPhase.LOST, disrupted=True, detail=detail))
        else:
            self._take_over(order, folder)

    def stop(self, name: str) -> None:
        """End the trial's run and everything that it started; an ENDED report follows."""
        run = self._runs.get(name)
        if run is None or run.done or run.concluding or run.ending is not None:
            return
        if run.starting:
            run.unwanted = True
        elif run.process is None:
            self._finish(run, RunReport(name, run.order.trial.attempt, RunPhase.ENDED, stopped=True))
        else:
            run.ending = self._task(self._end(run, "Stopped"))

    def reports(self) -> Iterable[RunReport]:
        """What is new since the last call, in order."""
        reports, self._reports = self._reports, []
        return reports

    def forget(self, name: str, retain: bool) -> None:
        """Let go of the run; its folder stays, for its output is what people ask for when a trial has failed."""
        run = self._runs.pop(name, None)
        if run is not None:
            run.let_go()
            self._live.pop(name, None)

    async def close(self) -> None:
        """Let go of every run without ending it; what ended runs left behind is ended."""
        await self._launcher.close()
        if self._reading is not None:
            self._reading.cancel()
        for run in self._runs.values():
            run.let_go()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sweep()
        await self._desk.close()

    # Beginning

    def _begin(self, order: RunOrder, folder: RunFolder, start: int) -> None:
        program, problems = self._launcher.program(order, folder)
        run = self._runs[order.name] = Run(order, folder, program, start)
        problems += refuse_impossible(program.demand, machine())
        if problems:
            self._refuse(run, "InvalidTrial", "; ".join(map(str, problems)))
        else:
            self._launcher.launch(run)

    def _started(self, run: Run, process: RunProcess) -> None:
        self._follow(run, process, 0.0)
        if run.unwanted:
            self.stop(run.order.name)

    def _unknown(self, run: Run) -> None:
        """Whether it was started, its folder tells."""
        self._take_over(run.order, run.folder)
        if run.unwanted:
            self.stop(run.order.name)

    def _waiting(self, run: Run, shortage: Shortage) -> None:
        self._report(run.report(RunPhase.WAITING, shortage.reason, shortage.detail))

    def _refuse(self, run: Run, reason: str, message: str) -> None:
        document = final.failed(run.order.document, reason, message, time.time())
        self._finish(run, RunReport(run.order.name, run.order.trial.attempt, RunPhase.ENDED, document=document))

    # Taking over

    def _take_over(self, order: RunOrder, folder: RunFolder) -> None:
        found = adoption.find(folder)
        if found.state is State.ABSENT or (found.state is State.UNSTARTED and order.adopt_only):
            self._report(RunReport(order.name, order.trial.attempt, RunPhase.ABSENT))
            return
        if found.state is State.UNSTARTED:
            self._begin(order, folder, found.start)
            return
        run = self._runs[order.name] = self._resume(order, folder)
        if found.state is State.ALIVE:
            if run.program.demand:
                self._desk.keep(folder.path)
            self._follow(run, process := RunProcess(found.pid), found.age)
            process.watch(folder.claim_path(found.start))
        else:
            run.collector = self._collector(run)
            self._conclude(run, found.rebooted)

    def _resume(self, order: RunOrder, folder: RunFolder) -> Run:
        """A run that was started before; what of its program cannot be found any more does not matter then."""
        program, _ = self._launcher.program(order, folder)
        run = Run(order, folder, program)
        run.companion = self._launcher.companion(run)
        if run.companion is not None:
            run.companion.adopt()
        return run

    def _collector(self, run: Run) -> Collector | None:
        if self._attach is None:
            return None
        path = run.program.paths.collector
        return self._attach(Place(Path(run.folder.output), Path(path) if path else None))

    # Following

    def _follow(self, run: Run, process: RunProcess, age: float) -> None:
        """Watch a run that has been active for `age` seconds."""
        run.process = process
        run.collector = self._collector(run)
        if isinstance(run.collector, PrometheusCollector):
            run.following = self._task(run.collector.follow())
        self._live[run.order.name] = run
        self._report(run.report(RunPhase.RUNNING))
        if run.program.deadline is not None:
            left = max(0.0, run.program.deadline - age)
            run.timer = self._loop.call_later(left, self._deadline, run)
        if self._reading is None:
            self._reading = self._loop.call_later(READ_SECONDS, self._read_all)
        process.follow(lambda: self._gone(run))

    def _read_all(self) -> None:
        for run in list(self._live.values()):
            if measurements := self._measure(run, last=False):
                self._report(RunReport(run.order.name, run.order.trial.attempt, None, measurements))
        if time.monotonic() - self._swept > SWEEP_SECONDS:
            self._swept = time.monotonic()
            self._task(self._sweep())
        self._reading = self._loop.call_later(READ_SECONDS, self._read_all) if self._live else None

    async def _sweep(self) -> None:
        """End what runs left behind."""
        with suppress(Held):
            await sweep(self._mark, self._alive)

    def _alive(self) -> set[str]:
        """The folders whose processes must be left alone; raises Held where that may be all of them."""
        if not self._desk.database.sure:
            raise Held("another engine may have begun runs by now that are not known here")
        runs = [run for run in self._runs.values() if not run.done]
        companions = [run.companion.folder.path for run in runs if run.companion is not None]
        return {run.folder.path for run in runs} | set(companions)

    def _measure(self, run: Run, last: bool) -> tuple[Measurement, ...]:
        return tuple(run.collector.read(datetime.now(UTC), last)) if run.collector is not None else ()

    def _deadline(self, run: Run) -> None:
        if run.ending is None and not (run.done or run.concluding):
            run.ending = self._task(self._end(run, final.DEADLINE))

    async def _end(self, run: Run, reason: str) -> None:
        assert run.process is not None
        companion = {run.companion.folder.path} if run.companion is not None else set()
        mark = self._mark._replace(folder=run.folder.path)
        await end(run.process, mark, run.program.grace, reason, companion)
        if not run.process.alive:
            self._conclude(run)

    def _gone(self, run: Run) -> None:
        # The server of an engine that is gone writes the exit status a moment later than the process is gone.
        if run.process is not None and run.process.watched and adoption.awaited(run.folder):
            self._loop.call_later(LOOK_SECONDS, self._gone, run)
        # A run that is being ended is over only when nothing of it is left: `_end` concludes it.
        elif run.ending is None or run.ending.done():
            self._conclude(run)

    def _conclude(self, run: Run, rebooted: bool = False) -> None:
        if run.done or run.concluding:
            return
        run.concluding = True
        if run.timer is not None:
            run.timer.cancel()
        if run.companion is not None:
            self._task(self._conclude_after(run, run.companion, rebooted))
        else:
            self._conclude_now(run, rebooted)

    async def _conclude_after(self, run: Run, companion: Companion, rebooted: bool) -> None:
        await companion.finish()
        self._conclude_now(run, rebooted)

    def _conclude_now(self, run: Run, rebooted: bool) -> None:
        self._finish(run, conclude(run, self._measure(run, last=True), time.time(), rebooted))

    def _finish(self, run: Run, report: RunReport) -> None:
        notes = tuple(run.collector.notes()) if run.collector is not None else ()
        report = replace(report, notes=notes) if notes else report
        run.done = True
        run.let_go()
        self._live.pop(run.order.name, None)
        if run.program.demand:
            self._desk.give_back(run.folder.path)
        self._report(report)

    def _report(self, report: RunReport) -> None:
        self._reports.append(report)
        self._wake()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _collectors(site: Site) -> Attach | None:
    spec = site.experiment.spec
    if spec.objective is None:
        raise ValueError("an experiment without objective measures nothing; validate it first")
    return collector_for(spec.metrics_collector_spec or MetricsCollectorSpec(), spec.objective)
