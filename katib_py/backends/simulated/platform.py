"""The ports of the simulated platform, put together."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from katib_py.backends.simulated.clock import VirtualClock
from katib_py.backends.simulated.runner import SimulatedRunner, Simulation
from katib_py.backends.simulated.store import MemoryStore
from katib_py.controller.board import Board
from katib_py.controller.engine import Engine, Outcome
from katib_py.controller.platform import Platform, Render
from katib_py.controller.ports import Attempt, RunOrder, Suggesters
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Measurement
from katib_py.core.trial import TrialRecord

SERIES_KEPT: Final = 1000  # what more trials than these measured step by step is let go; their observations stay


class RecentObservations:
    """The observations port in memory, of the newest trials."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, int], list[Measurement]] = OrderedDict()

    async def append(self, rows: Sequence[tuple[RunOrder, Sequence[Measurement]]]) -> None:
        """Record measurements of runs."""
        for order, measurements in rows:
            self._series.setdefault((order.trial_uid, order.trial.attempt), []).extend(measurements)
        while len(self._series) > SERIES_KEPT:
            self._series.popitem(last=False)

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[Sequence[Measurement]]:
        """Every measurement of each of these attempts."""
        return [self._series.get(attempt, []) for attempt in attempts]

    async def follow(
        self, cursor: int, trial_uids: Sequence[str]
    ) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
        """Nobody else reports to a simulation."""
        return cursor, []

    async def record_stop(self, trial_uid: str, attempt: int, reason: str) -> None:
        """A simulated run does not ask."""


def no_document(board: Board) -> Render:
    """A simulated run has no object to render."""

    def render(trial: TrialRecord) -> Mapping[str, Any]:
        return {}

    return render


class SimulatedPlatform:
    """The real engine on a virtual clock: `workers` runs at once (None: as many as the experiment wants)."""

    def __init__(self, simulation: Simulation, suggesters: Suggesters, workers: int | None = None) -> None:
        self.clock = VirtualClock()
        self.store = MemoryStore()
        self.wake = asyncio.Event()
        runner = SimulatedRunner(self.clock, simulation, workers)
        self.ports = Platform(self.store, runner, suggesters, RecentObservations(), self.clock, no_document)

    async def run(self, experiment: Experiment) -> Outcome:
        """Drive the experiment, defaulted and with a uid, to its end."""
        return await Engine(self.ports, self.store.put(experiment), self.wake).run()
