"""From an order to a running process: the program is built, announced, given its slots and spawned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from katib_py.backends.local.checkpoints import checkpoint_of
from katib_py.backends.local.companion import Companion, folder_of
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.environment import ENV_EXPERIMENT_UID, ENV_RUN
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.program import Program, Site, build_collector, build_program
from katib_py.backends.local.run import Run
from katib_py.backends.local.slots import Grant, Shortage
from katib_py.backends.local.starter import ServerGoneError, Starter
from katib_py.controller.ports import RunOrder
from katib_py.core import names
from katib_py.core.confirm import seed_env
from katib_py.core.errors import Held, Problem, StoreUnavailable
from katib_py.core.experiment import CollectorKind
from katib_py.observations import log, reports

AGAIN_SECONDS: Final = 1.0


class Calls(NamedTuple):
    """What becomes of a launch: started as this process, waiting, refused with reason and message, or unknown."""

    started: Callable[[Run, RunProcess], None]
    waiting: Callable[[Run, Shortage], None]
    refused: Callable[[Run, str, str], None]
    unknown: Callable[[Run], None]


class Launcher:
    """Starts the runs of one experiment."""

    def __init__(self, site: Site, desk: Desk, calls: Calls) -> None:
        self._site = site
        self._desk = desk
        self._calls = calls
        self._announcing: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starter = Starter()

    def program(self, order: RunOrder, folder: RunFolder) -> tuple[Program, list[Problem]]:
        """The program of the order, and why it cannot be started here."""
        return build_program(self._site, order.document, folder, self._own(order, folder))

    def launch(self, run: Run) -> None:
        """Start the run, now or when there is room for it."""
        if self._site.kind in {CollectorKind.PUSH, CollectorKind.CUSTOM}:
            self._announcing.add(task := self._keep(self._announce(run)))
            task.add_done_callback(self._announcing.discard)
        else:
            self._find_room(run)

    def companion(self, run: Run) -> Companion | None:
        """The Custom collector of the run, if the experiment has one."""
        if self._site.kind is not CollectorKind.CUSTOM:
            return None
        own = self._own(run.order, folder_of(run.folder))
        program, _ = build_collector(self._site, run.order.document, run.folder, own)
        return Companion(run.folder, program, self._site.uid)

    async def close(self) -> None:
        """Start nothing more; what is being started is waited for."""
        for task in self._announcing:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._starter.close()

    def _own(self, order: RunOrder, folder: RunFolder) -> dict[str, str]:
        checkpoint = checkpoint_of(folder, order.trial.assignment.parent)
        parent = {names.ENV_PARENT_CHECKPOINT_DIR: checkpoint.parent} if checkpoint.parent else {}
        return {
            **parent,
            names.ENV_CHECKPOINT_DIR: checkpoint.path,
            names.ENV_TRIAL_NAME: order.name,
            names.ENV_TRIAL_UID: order.trial_uid,
            names.ENV_TRIAL_ATTEMPT: str(order.trial.attempt),
            names.ENV_TRIAL_NAMESPACE: self._site.owner[0],
            **seed_env(order.trial.assignment),
            ENV_RUN: folder.path,
            ENV_EXPERIMENT_UID: self._site.uid,
        }

    async def _announce(self, run: Run) -> None:
        """Have the observation log know the attempt before it can report."""
        key = log.Run(self._site.owner[0], run.order.name, run.order.trial_uid, str(run.order.trial.attempt))
        now = datetime.now(UTC)
        while not run.done:
            try:
                await self._desk.database.run(lambda connection: reports.begin_run(connection, key, now))
            except StoreUnavailable as error:
                self._calls.waiting(run, Shortage("StoreUnavailable", str(error)))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self._find_room(run)
                return

    def _find_room(self, run: Run) -> None:
        if run.done:
            return
        if run.program.demand:
            self._desk.ask(run.folder.path, run.program.demand, lambda answer: self._answered(run, answer))
        else:
            self._spawn(run, Grant())

    def _answered(self, run: Run, answer: Grant | Shortage) -> None:
        if isinstance(answer, Grant):
            self._spawn(run, answer)
        else:
            self._calls.waiting(run, answer)

    def _spawn(self, run: Run, grant: Grant) -> None:
        run.starting = True
        self._keep(self._start(run, grant))

    async def _start(self, run: Run, grant: Grant) -> None:
        program = run.program
        if grant.gpus:
            program = replace(program, env={**program.env, "CUDA_VISIBLE_DEVICES": ",".join(grant.gpus)})
        try:
            await self._desk.database.confirm()
            await self._prepare_checkpoint(run)
            program.prepare()
            run.companion = self.companion(run)
            if run.companion is not None:
                await run.companion.start(self._starter)
            process = await self._starter.start(run.folder, run.start, program)
        except ServerGoneError:
            run.starting = False
            self._calls.unknown(run)
        except Held:
            run.starting = False  # it is another engine's now
        except (OSError, ValueError, StoreUnavailable) as error:
            run.starting = False
            self._calls.refused(run, "CannotStart", f"{program.command[0]} cannot be started: {error}")
        else:
            run.starting = False
            self._calls.started(run, process)

    async def _prepare_checkpoint(self, run: Run) -> None:
        """Have what the trial goes on from; raises OSError, StoreUnavailable, Held."""
        checkpoint = checkpoint_of(run.folder, run.order.trial.assignment.parent)
        if checkpoint.parent and not checkpoint.ready:
            await asyncio.to_thread(checkpoint.make)
            # Meanwhile the experiment may have become another engine's.
            await self._desk.database.confirm()
        else:
            checkpoint.make()

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
