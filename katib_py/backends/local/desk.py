"""Where runs queue for slots: granted in order, several in one transaction, asked again while somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from sqlalchemy import Connection

from katib_py.backends.local.adoption import running
from katib_py.backends.local.database import Database
from katib_py.backends.local.resources import Demand, machine
from katib_py.backends.local.slots import Grant, Shortage, Slots
from katib_py.core.errors import Held, StoreUnavailable

AGAIN_SECONDS: Final = 1.0  # what another engine gave back is noticed within this time

Answer = Callable[[Grant | Shortage], None]


class Desk:
    """Slots for the runs of one engine. An answer is called with each shortage, and at last with the grant."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._slots = Slots(machine(), running)
        self._queue: dict[str, tuple[Demand, Answer]] = {}
        self._over: set[str] = set()
        self._kept: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._knock = asyncio.Event()
        self._closing = False

    def ask(self, run: str, demand: Demand, answer: Answer) -> None:
        """Queue for the slots of the run in this folder."""
        self._queue[run] = demand, answer
        self._work()

    def keep(self, run: str) -> None:
        """The run was taken over and still occupies its slots."""
        self._kept.add(run)
        self._work()

    def give_back(self, run: str) -> None:
        """The run has ended, or waits no longer."""
        self._queue.pop(run, None)
        self._over.add(run)
        self._work()

    async def close(self) -> None:
        """Give back what is over; who still waits is forgotten.

        Where the store does not answer it stays: whoever asks next sees that neither we nor the run live any more.
        """
        self._closing = True
        self._queue.clear()
        self._knock.set()
        if self._task is not None:
            await self._task

    def _work(self) -> None:
        self._knock.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve())

    async def _serve(self) -> None:
        while self._queue or self._over or self._kept:
            self._knock.clear()
            wanted = {run: demand for run, (demand, _) in self._queue.items()}
            over, self._over = self._over, set()
            kept, self._kept = self._kept, set()
            try:
                answers = await self.database.run(partial(self._exchange, over, kept, wanted))
            except StoreUnavailable as error:
                self._over |= over
                self._kept |= kept
                answers = dict.fromkeys(wanted, Shortage("StoreUnavailable", str(error)))
                if self._closing:
                    return
            except Held:
                # The runs are another engine's now. Ours learns it where it looks at the store.
                return
            self._tell(answers)
            if self._queue or self._over or self._kept:
                await self._pause()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._knock.wait()
        except TimeoutError:
            return

    def _tell(self, answers: Mapping[str, Grant | Shortage]) -> None:
        for run, answer in answers.items():
            if run not in self._queue:
                # It was stopped while its slots were granted.
                self._over.add(run)
                continue
            _, tell = self._queue[run]
            if isinstance(answer, Grant):
                del self._queue[run]
            tell(answer)

    def _exchange(
        self, over: set[str], kept: set[str], wanted: Mapping[str, Demand], connection: Connection
    ) -> dict[str, Grant | Shortage]:
        self._slots.give_back(connection, over)
        for run in kept:
            self._slots.keep(connection, run)
        return {run: self._slots.take(connection, run, demand) for run, demand in wanted.items()}
