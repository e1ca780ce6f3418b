"""Trials per second from the creation of Experiments to their success, beside the bare loop of the same minutes."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from support.cluster.async_client import AsyncClient
from support.cluster.experiments import experiment, last
from support.cluster.kinds import path_of
from support.cluster.played import PlayedJobs
from support.cluster.pushing import Pushing

from benchmarks.controlplane.loop import CONCURRENCY, loop
from benchmarks.controlplane.rig import NAMESPACE, Rig, Usage, machine, rig

LOOP_TRIALS = 500
LABEL = "katib.kubeflow.org/experiment"
Cell = dict[str, Any]


class Case(NamedTuple):
    """So many experiments side by side, each of so many trials. `beside` is the loop's concurrency to compare with."""

    experiments: int
    trials: int
    parallel: int
    beside: int
    katib: float  # trials/s of Katib's own controller on a quiet machine of two cores
    first_job: float  # seconds within which every experiment is to have its first Job

    @property
    def all_trials(self) -> int:
        """Of all experiments."""
        return self.experiments * self.trials


CASES = {
    "1 of 100, 10 parallel": Case(1, 100, 10, 10, 12.3, 0.5),
    "1 of 500, 100 parallel": Case(1, 500, 100, 50, 9.1, 0.5),
    "10 of 100, 30 parallel": Case(10, 100, 30, 50, 12.6, 1.0),
}


@dataclass
class Clock:
    """When each experiment was created, had its first Job, and had succeeded."""

    created: dict[str, float] = field(default_factory=dict)
    first_job: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def waits(self) -> list[float]:
        """From creation to the first Job, of each experiment."""
        return [self.first_job[name] - begin for name, begin in self.created.items()]

    def seconds(self) -> float:
        """From the first creation to the last success."""
        return max(self.ended.values()) - min(self.created.values())


class Played:
    """The kubelet's and the job controller's part, which notes when the first Job of an experiment was seen."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._push = Pushing()

    async def __call__(self, played: PlayedJobs, job: Mapping[str, Any]) -> None:
        """Push one metric and complete."""
        self._clock.first_job.setdefault(job["metadata"]["labels"][LABEL], time.perf_counter())
        await self._push(played, job)


async def run(rig: Rig, case: Case, prefix: str) -> Clock:
    """The case's experiments from creation to success."""
    clock = Clock()
    async with (
        PlayedJobs(rig.kubeconfig, act=Played(clock), namespace=NAMESPACE, selector=LABEL) as jobs,
        AsyncClient(rig.kubeconfig) as client,
    ):
        await asyncio.sleep(1.0)  # the watches are up, and what was before is over
        names = [f"{prefix}-{number}" for number in range(case.experiments)]
        watching = asyncio.create_task(_watch(client, clock, set(names)))
        failing = asyncio.create_task(jobs.problem())
        await asyncio.gather(*(_create(client, clock, name, case) for name in names))
        done, _ = await asyncio.wait({watching, failing}, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        for task in done:
            task.result()
    return clock


async def _create(client: AsyncClient, clock: Clock, name: str, case: Case) -> None:
    document = experiment(name, maxTrialCount=case.trials, parallelTrialCount=case.parallel)
    clock.created[name] = time.perf_counter()
    await client.post(path_of(NAMESPACE, "Experiment"), document)


async def _watch(client: AsyncClient, clock: Clock, names: set[str]) -> None:
    async for event in client.follow(path_of(NAMESPACE, "Experiment")):
        document = event["object"]
        name = document["metadata"]["name"]
        kind, reason = last(document)
        if name not in names or name in clock.ended or kind not in {"Succeeded", "Failed"}:
            continue
        if (kind, reason) != ("Succeeded", "ExperimentMaxTrialsReached"):
            raise AssertionError(f"{name} ended as {kind}, {reason}")
        clock.ended[name] = time.perf_counter()
        if len(clock.ended) == len(names):
            return


async def measure(cases: Mapping[str, Case]) -> Cell:
    """One round on a fresh rig: the loops, the cases, the loops again."""
    cell: Cell = {**machine(), "loop": {str(width): [] for width in CONCURRENCY}, "loop others": [], "cases": {}}
    with rig() as place:
        await loop(place.kubeconfig, CONCURRENCY[0], 100)  # the API server's first writes are slow
        await _loops(place, cell)
        place.controller().start()
        await run(place, Case(1, 10, 5, 10, 0, 0), "warm-up")
        for number, (name, case) in enumerate(cases.items()):
            usage = Usage(place)
            clock = await run(place, case, f"case-{number}")
            cell["cases"][name] = _figures(clock, case) | {"cpu": usage.since(), "others": usage.others()}
        place.controllers[0].stop()
        await _loops(place, cell)
    return cell


async def _loops(place: Rig, cell: Cell) -> None:
    for width in CONCURRENCY:
        usage = Usage(place)
        cell["loop"][str(width)].append(round(await loop(place.kubeconfig, width, LOOP_TRIALS), 1))
        cell["loop others"].append(usage.others())


def _figures(clock: Clock, case: Case) -> Cell:
    return {
        "rate": round(case.all_trials / clock.seconds(), 1),
        "seconds": round(clock.seconds(), 2),
        "first job": [round(wait, 3) for wait in sorted(clock.waits())],
    }


HEADER = (
    "case",
    "trials/s",
    "of the loop",
    "of Katib",
    "first Job, median",
    "worst",
    "CPU ms per trial: controller",
    "API server and etcd",
    "cores that others used",
)


def table(cells: list[Cell]) -> Iterator[str]:
    """The rows: medians over the rounds; of the first Jobs the worst of all rounds too."""
    yield f"| {' | '.join(HEADER)} |"
    yield "|---" * len(HEADER) + "|"
    busy = statistics.median(used for cell in cells for used in cell["loop others"])
    for width in map(str, CONCURRENCY):
        rates = [rate for cell in cells for rate in cell["loop"][width]]
        yield f"| bare loop, {width} at a time | {statistics.median(rates):.0f} |{' |' * 6} {busy:.1f} |"
    for name, case in CASES.items():
        if found := [(cell["cases"][name], cell["loop"][str(case.beside)]) for cell in cells if name in cell["cases"]]:
            yield f"| {' | '.join([name, *_row(case, found)])} |"


def _row(case: Case, found: list[tuple[Cell, list[float]]]) -> Iterator[str]:
    rates = [figures["rate"] for figures, _ in found]
    yield f"{statistics.median(rates):.0f}"
    yield f"{statistics.median(figures['rate'] / statistics.fmean(beside) for figures, beside in found):.2f}"
    yield f"{statistics.median(rates) / case.katib:.1f}"
    waits = [wait for figures, _ in found for wait in figures["first job"]]
    yield f"{statistics.median(waits):.2f} s"
    yield f"{max(waits):.2f} s"
    for names in (("controller 0",), ("kube-apiserver", "etcd")):
        spent = statistics.median(sum(figures["cpu"].get(name, 0.0) for name in names) for figures, _ in found)
        yield f"{1000 * spent / case.all_trials:.1f}"
    yield f"{statistics.median(figures['others'] for figures, _ in found):.1f}"
