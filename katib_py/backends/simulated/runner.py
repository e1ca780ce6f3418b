"""Runs whose results come from a table or a function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from katib_py.backends.simulated.clock import VirtualClock
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core.objective import Measurement

SUCCEEDED: Final = {"conditions": [{"type": kind, "status": "True"} for kind in ("Complete", "Succeeded")]}
FAILED: Final = {"conditions": [{"type": "Failed", "status": "True", "reason": "Simulated"}]}


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """What a trial would have done: `curve` is (virtual seconds after the start, metric, value), in order of time."""

    seconds: float
    curve: Sequence[tuple[float, str, float]]
    succeeds: bool = True


Simulation = Callable[[Mapping[str, str], str], SimulatedRun]


def from_function(metric: str, objective: Callable[[Mapping[str, str]], float], seconds: float = 60.0) -> Simulation:
    """A simulation in which every trial takes `seconds` and reports the function's value once, at its end."""

    def simulate(parameters: Mapping[str, str], trial: str) -> SimulatedRun:
        return SimulatedRun(seconds, [(seconds, metric, objective(parameters))])

    return simulate


def from_table(rows: Iterable[tuple[Mapping[str, str], SimulatedRun]]) -> Simulation:
    """A simulation that looks a trial's parameters up; raises KeyError for a point that the table lacks."""
    table = {frozenset(parameters.items()): run for parameters, run in rows}

    def simulate(parameters: Mapping[str, str], trial: str) -> SimulatedRun:
        return table[frozenset(parameters.items())]

    return simulate


class SimulatedRunner:
    """The runner port on a virtual clock; `workers` runs go on at once, the others wait their turn."""

    def __init__(self, clock: VirtualClock, simulation: Simulation, workers: int | None = None) -> None:
        self._clock = clock
        self._simulation = simulation
        self._free = workers
        self._queue: list[RunOrder] = []
        self._running: dict[str, RunOrder] = {}
        self._reports: list[RunReport] = []

    def start(self, order: RunOrder) -> None:
        """Begin the run, or queue it while every worker is taken."""
        if order.adopt_only:
            self._report(order, RunPhase.ABSENT)
        elif self._free == 0:
            self._queue.append(order)
            self._reports.append(
                RunReport(order.name, order.trial.attempt, RunPhase.WAITING, (), reason="NoWorker", detail="all busy")
            )
        else:
            self._begin(order)

    def stop(self, name: str) -> None:
        """End the run now."""
        order = self._running.get(name)
        if order is not None:
            self._end(order, FAILED, stopped=True)
            return
        for queued in [order for order in self._queue if order.name == name]:
            self._queue.remove(queued)
            self._reports.append(RunReport(name, queued.trial.attempt, RunPhase.ENDED, stopped=True))

    def reports(self) -> Iterable[RunReport]:
        """What is new since the last call."""
        reports, self._reports = self._reports, []
        return reports

    def forget(self, name: str, retain: bool) -> None:
        """Nothing is kept of a simulated run."""

    async def close(self) -> None:
        """A simulation ends with its controller."""

    def _begin(self, order: RunOrder) -> None:
        if self._free is not None:
            self._free -= 1
        self._running[order.name] = order
        run = self._simulation(dict(order.trial.assignment.parameters), order.name)
        begin = self._clock.now()
        self._report(order, RunPhase.RUNNING)
        for position, (after, metric, value) in enumerate(run.curve):
            if after < run.seconds:
                self._clock.at(begin + after, lambda p=position, m=metric, v=value: self._measure(order, m, v, p))  # type: ignore[misc]
        last = [(m, v, p) for p, (after, m, v) in enumerate(run.curve) if after >= run.seconds]
        self._clock.at(begin + run.seconds, lambda: self._finish(order, run.succeeds, last))

    def _measure(self, order: RunOrder, metric: str, value: float, position: int) -> None:
        if self._running.get(order.name) is order:
            item = self._measurement(metric, value, position)
            self._reports.append(RunReport(order.name, order.trial.attempt, None, (item,)))

    def _finish(self, order: RunOrder, succeeds: bool, last: list[tuple[str, float, int]]) -> None:
        if self._running.get(order.name) is order:
            items = tuple(self._measurement(*item) for item in last)
            self._end(order, SUCCEEDED if succeeds else FAILED, items)

    def _end(
        self,
        order: RunOrder,
        status: Mapping[str, object],
        items: tuple[Measurement, ...] = (),
        stopped: bool = False,
    ) -> None:
        del self._running[order.name]
        self._reports.append(
            RunReport(order.name, order.trial.attempt, RunPhase.ENDED, items, {"status": status}, stopped)
        )
        if self._free is not None:
            self._free += 1
            if self._queue:
                self._begin(self._queue.pop(0))

    def _measurement(self, metric: str, value: float, position: int) -> Measurement:
        return Measurement(metric, repr(value), datetime.fromtimestamp(self._clock.now(), UTC), position)

    def _report(self, order: RunOrder, phase: RunPhase) -> None:
        self._reports.append(RunReport(order.name, order.trial.attempt, phase))
