"""Up to 100,000 trials of one experiment on the simulated platform: trials per second, controller and service memory.

python benchmarks/simulated_scale.py [--trials 100000] [--algorithm random] [--parallel 100]
Prints a row at 1,000, 10,000 and 100,000 finished trials; the rate is that of the last tenth of each.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from katib_py.backends.local.home import Home
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.backends.simulated.platform import SimulatedPlatform
from katib_py.backends.simulated.runner import from_function
from katib_py.controller.board import Board
from katib_py.controller.engine import Engine
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment

MARKS = (1_000, 10_000, 100_000)


def experiment(algorithm: str, trials: int, parallel: int, dimensions: int) -> Experiment:
    """An experiment over the unit cube."""
    parameters = [
        {"name": f"x{index}", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}
        for index in range(dimensions)
    ]
    document = {
        "metadata": {"name": "scale", "uid": "00000000-0000-4000-8000-000000000000"},
        "spec": {
            "maxTrialCount": trials,
            "parallelTrialCount": parallel,
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": algorithm},
            "parameters": parameters,
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": f"x{i}", "reference": f"x{i}"} for i in range(dimensions)],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"},
            },
        },
    }
    return default(Experiment.model_validate(document))


def sphere(parameters: Mapping[str, str]) -> float:
    """Distance from a point off the centre."""
    return math.fsum((float(value) - 0.3) ** 2 for value in parameters.values())


class Meter:
    """Notes time and memory as trials finish."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.tenths: dict[int, float] = {}
        self.done: set[int] = set()
        self.base: tuple[int, int] | None = None
        print(f"{'trials':>8} {'trials/s':>9} {'controller MiB':>15} {'B/trial':>8} {'service MiB':>12} {'B/trial':>8}")

    def __call__(self, board: Board) -> None:
        """Print a row at each mark."""
        finished = board.tally.finished
        if self.base is None and finished >= 100:
            self.base = memory()
        for mark in MARKS:
            if finished >= mark * 0.9:
                self.tenths.setdefault(mark, time.perf_counter())
            if finished >= mark and mark not in self.done:
                self.done.add(mark)
                self.row(mark, finished)

    def row(self, mark: int, finished: int) -> None:
        """One line of the table."""
        rate = mark * 0.1 / max(1e-9, time.perf_counter() - self.tenths[mark])
        assert self.base is not None
        own, service = memory()
        grown = [(now - then) / finished for now, then in zip((own, service), self.base, strict=True)]
        sizes = f"{own / 2**20:>15.1f} {grown[0]:>8.0f} {service / 2**20:>12.1f} {grown[1]:>8.0f}"
        print(f"{finished:>8} {rate:>9.0f} {sizes}", flush=True)


def memory() -> tuple[int, int]:
    """Resident bytes of this process and of its service."""
    me = psutil.Process()
    return me.memory_info().rss, sum(child.memory_info().rss for child in me.children())


async def run(options: argparse.Namespace) -> None:
    """Drive the experiment to its end."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder), f"sqlite:///{folder}/katib.db")
        platform = SimulatedPlatform(from_function("loss", sphere), LocalSuggesters(home))
        key = platform.store.put(experiment(options.algorithm, options.trials, options.parallel, options.dimensions))
        begin = time.perf_counter()
        await Engine(platform.ports, key, platform.wake, Meter()).run()
        print(f"{options.trials} trials in {time.perf_counter() - begin:.1f} s")


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100_000)
    parser.add_argument("--algorithm", default="random")
    parser.add_argument("--parallel", type=int, default=100)
    parser.add_argument("--dimensions", type=int, default=5)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
