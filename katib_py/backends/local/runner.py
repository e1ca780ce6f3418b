"""Trials as processes of this machine, which outlive their controller."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from katib_py.backends.local import adoption, final, scan
from katib_py.backends.local.adoption import State
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.ending import end, sweep
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.metering import meter
from katib_py.backends.local.process import RunProcess, spawn
from katib_py.backends.local.program import Program, Site, build_program
from katib_py.backends.local.resources import machine
from katib_py.backends.local.run import Run, conclude
from katib_py.backends.local.slots import Grant, Shortage
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core import names
from katib_py.core.errors import InvalidInput
from katib_py.core.objective import Measurement

READ_SECONDS: Final = 0.25  # how often the output of live runs is read
SWEEP_SECONDS: Final = 10.0  # how often what runs left behind outside their group is looked for


class LocalRunner:
    """The Runner port: one process group per run; `wake` is called when there is something to report.

    Made and used inside a running asyncio loop. Raises InvalidInput for a collector that cannot be used.
    """

    def __init__(self, site: Site, desk: Desk, wake: Callable[[], None]) -> None:
        self._site = site
        self._desk = desk
        self._wake = wake
        self._meter = meter(site)
        self._runs: dict[str, Run] = {}
        self._live: dict[str, Run] = {}
        self._reports: list[RunReport] = []
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.TimerHandle | None = None
        self._swept = time.monotonic()
        self._sweeping: asyncio.Task[None] | None = None
        self._root = "/".join((site.runs, *site.owner))

    def start(self, order: RunOrder) -> None:
        """Have this attempt running: starts it, or takes over what is there already."""
        folder = RunFolder(f"{self._root}/{order.name}/{order.trial.attempt}")
        if not order.adopt_only and folder.create():
            self._begin(order, folder, 1)
        else:
            self._take_over(order, folder)

    def stop(self, name: str) -> None:
        """End the trial's run and everything that it started; an ENDED report follows."""
        run = self._runs.get(name)
        if run is None or run.done or run.ending is not None:
            return
        if run.process is None:
            self._desk.give_back(run.folder.path)
            self._finish(run, RunReport(name, run.order.trial.attempt, RunPhase.ENDED, stopped=True))
        else:
            run.ending = asyncio.create_task(self._end(run, "Stopped"))

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
        for timer in (self._reading, *(run.timer for run in self._runs.values())):
            if timer is not None:
                timer.cancel()
        alive = {run.folder.path for run in self._live.values()}
        for run in list(self._runs.values()):
            run.let_go()
            if run.ending is not None:
                run.ending.cancel()
        endings = [run.ending for run in self._runs.values() if run.ending is not None]
        await asyncio.gather(*endings, *filter(None, [self._sweeping]), return_exceptions=True)
        await sweep(self._root, alive)
        await self._desk.close()

    # Beginning

    def _begin(self, order: RunOrder, folder: RunFolder, start: int) -> None:
        try:
            program = self._program(order, folder)
        except InvalidInput as error:
            run = self._runs[order.name] = Run(order, folder, Program((), {}, ""))
            self._refuse(run, "InvalidTrial", str(error))
            return
        run = self._runs[order.name] = Run(order, folder, program, start)
        if program.demand:
            self._desk.ask(folder.path, program.demand, lambda answer: self._answered(run, answer))
        else:
            self._spawn(run, Grant())

    def _program(self, order: RunOrder, folder: RunFolder) -> Program:
        own = {
            names.ENV_TRIAL_NAME: order.name,
            names.ENV_TRIAL_UID: order.trial_uid,
            names.ENV_TRIAL_ATTEMPT: str(order.trial.attempt),
            names.ENV_TRIAL_NAMESPACE: self._site.owner[0],
            scan.ENV_RUN: folder.path,
        }
        return build_program(self._site, order.document, folder, own)

    def _answered(self, run: Run, answer: Grant | Shortage) -> None:
        if isinstance(answer, Grant):
            self._spawn(run, answer)
        else:
            self._report(run.report(RunPhase.WAITING, answer.reason, answer.detail))

    def _spawn(self, run: Run, grant: Grant) -> None:
        program, env = run.program, run.program.env
        if grant.gpus:
            there = machine().gpus
            env = {**env, "CUDA_VISIBLE_DEVICES": ",".join(there[index] for index in grant.gpus)}
        try:
            program.paths.make()
            for path, content in program.files.items():
                with open(path, "wb") as file:
                    file.write(content)
            pid = spawn(run.folder, run.start, program.command, program.cwd, env)
        except (OSError, ValueError) as error:
            self._refuse(run, "CannotStart", f"{program.command[0]} cannot be started: {error}")
            return
        self._follow(run, RunProcess(pid, True, lambda: self._gone(run)), 0.0)

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
        run = self._runs[order.name] = Run(order, folder, self._program_again(order, folder))
        run.collector = self._meter(folder, run.program.paths.collector)
        if found.state is State.ALIVE:
            if run.program.demand:
                self._desk.keep(folder.path)
            self._follow(run, RunProcess(found.pid, False, lambda: self._gone(run)), found.age)
        else:
            self._conclude(run, found.rebooted)

    def _program_again(self, order: RunOrder, folder: RunFolder) -> Program:
        """The program of a run that was started before; what cannot be found any more does not matter then."""
        try:
            return self._program(order, folder)
        except InvalidInput:
            return Program((), {}, "")

    # Following

    def _follow(self, run: Run, process: RunProcess, age: float) -> None:
        """Watch a run that has been active for `age` seconds."""
        run.process = process
        if run.collector is None:
            run.collector = self._meter(run.folder, run.program.paths.collector)
        self._live[run.order.name] = run
        self._report(run.report(RunPhase.RUNNING))
        process.watch()
        if run.program.deadline is not None:
            left = max(0.0, run.program.deadline - age)
            run.timer = self._loop.call_later(left, self._deadline, run)
        if self._reading is None:
            self._reading = self._loop.call_later(READ_SECONDS, self._read_all)

    def _read_all(self) -> None:
        for run in list(self._live.values()):
            if measurements := self._measure(run, final=False):
                self._report(RunReport(run.order.name, run.order.trial.attempt, None, measurements))
        if time.monotonic() - self._swept > SWEEP_SECONDS and self._sweeping is None:
            self._sweeping = asyncio.create_task(self._sweep())
        again = bool(self._live)
        self._reading = self._loop.call_later(READ_SECONDS, self._read_all) if again else None

    async def _sweep(self) -> None:
        await sweep(self._root, {run.folder.path for run in self._live.values()})
        self._swept, self._sweeping = time.monotonic(), None

    def _measure(self, run: Run, final: bool) -> tuple[Measurement, ...]:
        return tuple(run.collector.read(datetime.now(UTC), final)) if run.collector is not None else ()

    def _deadline(self, run: Run) -> None:
        if run.ending is None and not run.done:
            run.ending = asyncio.create_task(self._end(run, final.DEADLINE))

    async def _end(self, run: Run, reason: str) -> None:
        assert run.process is not None
        await end(run.process, run.folder, run.program.grace, reason)
        if not run.process.alive:
            self._conclude(run)

    def _gone(self, run: Run) -> None:
        # A run that is being ended is over only when nothing of it is left: `_end` concludes it.
        if run.ending is None or run.ending.done():
            self._conclude(run)

    def _conclude(self, run: Run, rebooted: bool = False) -> None:
        if run.done:
            return
        report = conclude(run, self._measure(run, final=True), time.time(), rebooted)
        if run.program.demand:
            self._desk.give_back(run.folder.path)
        self._finish(run, report)

    def _finish(self, run: Run, report: RunReport) -> None:
        run.done = True
        run.let_go()
        self._live.pop(run.order.name, None)
        self._report(report)

    def _report(self, report: RunReport) -> None:
        self._reports.append(report)
        self._wake()
