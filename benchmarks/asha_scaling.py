"""How the time to a given quality falls with the number of workers: ASHA on the simulated platform.

python benchmarks/asha_scaling.py [--workers 1 10 100 500] [--good 5000] [--figure FILE.svg]
The real engine and the real suggestion service on a virtual clock. An epoch takes about a minute, a trial that goes on
takes only the epochs that are new, one run in twenty fails. However many workers there are, the same configurations
begin in the same order, and the one with the number `--good` is the first that reaches the goal, with all nine epochs.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from katib_py.backends.local.home import Home
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.backends.simulated.clock import EPOCH
from katib_py.backends.simulated.platform import SimulatedPlatform
from katib_py.backends.simulated.runner import SimulatedRun
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment

MOST = 9
GOAL = 0.5
FAILING = 0.05


class Row(NamedTuple):
    """One run: virtual minutes to the goal, trials begun, and the seconds that it took."""

    workers: int
    minutes: float
    trials: int
    seconds: float


@dataclass
class Trainings:
    """What a trial would have done: configurations get their quality in the order in which they begin."""

    good: int
    numbers: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    begun: int = 0

    def __call__(self, parameters: Mapping[str, str], trial: str) -> SimulatedRun:
        """The run of a trial."""
        self.begun += 1
        key, epochs = parameters["x"], int(parameters["epochs"])
        number = self.numbers.setdefault(key, len(self.numbers) + 1)
        random = np.random.default_rng((number, epochs))
        quality = 0.0 if number == self.good else 0.1 + np.random.default_rng(number).random()
        seconds = 60 * (epochs - self.trained.get(key, 0)) * random.uniform(0.75, 1.25)
        fails = number != self.good and random.random() < FAILING
        if not fails:
            self.trained[key] = epochs
        return SimulatedRun(seconds, [(seconds, "loss", quality + GOAL * MOST / epochs)], succeeds=not fails)


def experiment(workers: int) -> Experiment:
    """ASHA with nine epochs at most."""
    settings = {"resource_name": "epochs", "r_l": str(MOST), "eta": "3", "random_state": "1"}
    document = {
        "metadata": {"name": "scaling", "uid": "00000000-0000-4000-8000-000000000000"},
        "spec": {
            "parallelTrialCount": workers,
            "objective": {"type": "minimize", "objectiveMetricName": "loss", "goal": GOAL},
            "algorithm": {
                "algorithmName": "asha",
                "algorithmSettings": [{"name": name, "value": value} for name, value in settings.items()],
            },
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
                {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": str(MOST)}},
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": name, "reference": name} for name in ("x", "epochs")],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"},
            },
        },
    }
    return default(Experiment.model_validate(document))


def run(workers: int, good: int) -> Row:
    """Search until the goal is reached."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        suggesters = LocalSuggesters(Home(Path(folder), f"sqlite:///{folder}/katib.db"))
        trainings = Trainings(good)
        platform = SimulatedPlatform(trainings, suggesters)
        asyncio.run(platform.run(experiment(workers)))
        minutes = (platform.clock.now() - EPOCH) / 60
    return Row(workers, minutes, trainings.begun, time.perf_counter() - began)


def table(rows: Sequence[Row]) -> str:
    """Markdown; speed-up and efficiency are those beside the first row."""
    first = rows[0]
    lines = ["| workers | minutes to the goal | speed-up | of linear | trials begun | seconds to simulate |"]
    lines.append("|---|---|---|---|---|---|")
    for row in rows:
        faster = first.minutes / row.minutes
        share = faster / (row.workers / first.workers)
        lines.append(
            f"| {row.workers} | {row.minutes:.0f} | {faster:.1f} | {share:.0%} | {row.trials} | {row.seconds:.0f} |"
        )
    return "\n".join(lines)


def figure(rows: Sequence[Row]) -> str:
    """Both axes logarithmic; the dashed line is linear speed-up."""
    wide, high, edge = 480.0, 320.0, 50.0
    tall = rows[0].minutes / rows[-1].minutes

    def place(workers: float, minutes: float) -> str:
        across = math.log(workers / rows[0].workers) / math.log(rows[-1].workers / rows[0].workers)
        down = math.log(rows[0].minutes / minutes) / math.log(tall * 1.5)
        return f"{edge + across * (wide - 2 * edge):.1f},{edge + down * (high - 2 * edge):.1f}"

    ideal = [place(row.workers, rows[0].minutes * rows[0].workers / row.workers) for row in rows]
    ours = [place(row.workers, row.minutes) for row in rows]
    marks = [f'<circle cx="{x}" cy="{y}" r="4"/>' for x, y in (point.split(",") for point in ours)]
    words = [
        f'<text x="{float(x) + 6:.1f}" y="{float(y) - 8:.1f}">{row.workers}: {row.minutes:.0f} min</text>'
        for row, (x, y) in zip(rows, (point.split(",") for point in ours), strict=True)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide:.0f} {high:.0f}" font-family="sans-serif"',
            'font-size="12"><title>Time to a given quality by number of workers</title>',
            f'<rect width="{wide:.0f}" height="{high:.0f}" fill="white"/>',
            f'<polyline points="{" ".join(ideal)}" fill="none" stroke="gray" stroke-dasharray="5"/>',
            f'<polyline points="{" ".join(ours)}" fill="none" stroke="black"/>',
            *marks,
            *words,
            f'<text x="{edge}" y="{high - 15}">workers and minutes on logarithmic scales; dashed: linear</text></svg>',
            "",
        ]
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 10, 100, 500])
    parser.add_argument("--good", type=int, default=5000)
    parser.add_argument("--figure", type=Path)
    options = parser.parse_args()
    rows = []
    for workers in sorted(options.workers):
        rows.append(run(workers, options.good))
        print(table(rows[-1:]).splitlines()[-1], flush=True)
    print(table(rows))
    if options.figure:
        options.figure.write_text(figure(rows))


if __name__ == "__main__":
    main()
