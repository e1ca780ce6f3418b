"""A platform: its ports, its time, and how it renders a trial's run."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from katib_py.controller.board import Board
from katib_py.controller.ports import Clock, Observations, Runner, Store, Suggesters
from katib_py.core.experiment import CollectorKind
from katib_py.core.trial import TrialRecord

Render = Callable[[TrialRecord], Mapping[str, Any]]

COMPANY_SECONDS: Final = 0.001
# What these measure arrives in the observation log by itself, whatever the platform.
PUSHED: Final = frozenset({CollectorKind.PUSH, CollectorKind.CUSTOM})


@dataclass(frozen=True, slots=True)
class Platform:
    """The ports of one platform, and how it renders a trial's run.

    `reported` are the collectors whose measurements arrive in the observation log by themselves; those of the others
    come from the runner; `sees_output`: as they are measured, and not only when the run has ended. `new_at_once` is how
    many trials a turn may create, `patience` how many seconds a store or log is waited for that does not answer, with
    all that is in hand kept. `closing`: nothing new is started, and what runs is brought to its end.
    """

    store: Store
    runner: Runner
    suggesters: Suggesters
    observations: Observations
    clock: Clock
    render: Callable[[Board], Render]
    reported: frozenset[CollectorKind] = PUSHED
    sees_output: bool = False
    new_at_once: int = sys.maxsize
    patience: float = 0.0
    closing: bool = False

    def new_trials(self, live: int) -> int:
        """How many trials a turn may create when so many are live: few at first, so that the first run starts soon."""
        return self.new_at_once if self.new_at_once == sys.maxsize else min(self.new_at_once, 2 + live)


class WallClock:
    """Real time. What happens within `company` seconds of each other shares a turn of the loop.

    `observe` is told how long each turn took.
    """

    def __init__(self, company: float = COMPANY_SECONDS, observe: Callable[[float], None] | None = None) -> None:
        self._company = company
        self._observe = observe
        self._began: float | None = None

    def now(self) -> float:
        """Seconds since the epoch, UTC."""
        return time.time()

    async def wait(self, wake: asyncio.Event, seconds: float, busy: bool) -> None:
        """Return when `wake` is set or after `seconds`."""
        if self._observe is not None and self._began is not None:
            self._observe(time.monotonic() - self._began)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()
            # What ends within a moment of each other shares a turn, and with it a transaction and a call.
            await asyncio.sleep(self._company)
        self._began = time.monotonic()
