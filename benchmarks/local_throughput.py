"""Trials per second on this machine: katib-py beside a bare asyncio loop, Optuna and Ray Tune, on the same processes.

python benchmarks/local_throughput.py [--trials 500] [--parallel 8] [--rounds 5] [--skip ray optuna] [--flat]
Each trial is a shell one-liner that prints a metric. The contenders take turns in every round, so that a busy machine
slows all of them; the table shows medians, and of katib-py's rate to the bare loop's the median over the rounds. `rate`
counts from the start of the first trial to the end of the last, `whole` is the command with everything it starts.
What the runs wrote is deleted when all are over, and each run's folder is spread to a part of the disk of its own: ext4
without a journal looks at every inode that was deleted there in the last minutes before it gives out another, which
halves the rate of whatever creates files after somebody deleted thousands.
--flat instead runs katib-py with 100, 500, 1,000 and 5,000 trials, by random search and TPE: the cost of a trial.
Ray Tune lives in an environment of its own below --cache and is left out where it cannot be installed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import yaml

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.controller.ports import Key

SHELL: Final = "echo loss={}"
FLAT: Final = (100, 500, 1_000, 5_000)
SLOW: Final = {"Optuna, SQLite": 1, "Ray Tune": 10}  # and of how many trials they get one
PEERS: Final = Path(__file__).parent / "local_throughput_peers.py"
DEFAULT_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "katib-py-benchmarks"


class Speed(NamedTuple):
    """Trials per second: from the first trial's start to the last one's end, and of the whole command."""

    rate: float
    whole: float


def bare(trials: int, parallel: int) -> Speed:
    """A loop that starts the same processes and reads their output: nothing that is not needed for that."""
    begin = time.perf_counter()
    asyncio.run(_bare(trials, parallel))
    rate = trials / (time.perf_counter() - begin)
    return Speed(rate, rate)


async def _bare(trials: int, parallel: int) -> None:
    free = asyncio.Semaphore(parallel)

    async def one(number: int) -> None:
        async with free:
            process = await asyncio.create_subprocess_exec(
                "sh", "-c", SHELL.format(number / trials), stdout=asyncio.subprocess.PIPE
            )
            await process.communicate()

    await asyncio.gather(*(one(number) for number in range(trials)))


def katib(trials: int, parallel: int, algorithm: str = "random") -> Speed:
    """`katib-py run` of the whole experiment, as a user calls it."""
    folder = tempfile.mkdtemp()
    Path(folder, "shell.yaml").write_text(yaml.safe_dump(experiment(trials, parallel, algorithm)))
    command = [sys.executable, "-m", "katib_py.cli", "run", "shell.yaml", "-o", "json"]
    env = {**os.environ, "KATIB_HOME": f"{folder}/home"}
    begin = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    whole = time.perf_counter() - begin
    status = json.loads(done.stdout.splitlines()[-1])["status"]
    assert status["trialsSucceeded"] == trials, status
    return Speed(trials / spent(f"sqlite:///{folder}/home/katib.db", trials), trials / whole)


def spent(db: str, trials: int) -> float:
    """Seconds from the creation of the first trial to the end of the last, as the store has them."""
    with closing(Database(db)) as database:
        records = Catalog(database).trials(Key("default", "shell"), limit=trials)
    return max(trial.completed or 0.0 for trial in records) - min(trial.created for trial in records)


def experiment(trials: int, parallel: int, algorithm: str) -> dict[str, Any]:
    """The one-liner as an Experiment."""
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", SHELL.format("${trialParameters.x}")]}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": "shell"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": algorithm},
            "parallelTrialCount": parallel,
            "maxTrialCount": trials,
            "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "spec": {"template": {"spec": {"containers": [container]}}},
                },
            },
        },
    }


def peer(python: str, name: str) -> Callable[[int, int], Speed]:
    """Another library, in a process of its own that prints its two durations."""

    def run(trials: int, parallel: int) -> Speed:
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            command = [python, str(PEERS), name, str(trials), str(parallel)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
            return Speed(trials / float(done.stdout.split()[-1]), trials / (time.perf_counter() - begin))

    return run


def ray_python(cache: Path) -> str | None:
    """An interpreter with Ray Tune, made if need be; None, with a word, where it cannot be installed."""
    python = cache / "ray" / "bin" / "python"
    if (
        python.exists()
        and subprocess.run([python, "-c", "import ray.tune"], check=False, capture_output=True).returncode == 0
    ):
        return str(python)
    cache.mkdir(parents=True, exist_ok=True)
    for command in (
        ["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(cache / "ray")],
        ["uv", "pip", "install", "--quiet", "--python", str(python), "ray[tune]"],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"Ray Tune is left out, it cannot be installed: {getattr(error, 'stderr', None) or error}")
            return None
    return str(python)


def contenders(options: argparse.Namespace) -> Iterator[tuple[str, Callable[[int, int], Speed]]]:
    """Who takes part, the bare loop and katib-py side by side."""
    yield "bare asyncio loop", bare
    yield "katib-py run (random)", katib
    if "optuna" not in options.skip:
        yield "Optuna, in memory", peer(sys.executable, "optuna-memory")
        yield "Optuna, SQLite", peer(sys.executable, "optuna-sqlite")
    if "ray" not in options.skip and (python := ray_python(options.cache)) is not None:
        yield "Ray Tune", peer(python, "ray")


def compare(options: argparse.Namespace) -> None:
    """Rounds in which everybody takes a turn."""
    entrants = dict(contenders(options))
    speeds: dict[str, list[Speed]] = {name: [] for name in entrants}
    for number in range(options.rounds):
        for name, run in entrants.items():
            # Slow peers are measured once, Ray on a tenth of the trials: rounds should stay close together.
            if number == 0 or name not in SLOW:
                speeds[name].append(run(options.trials // SLOW.get(name, 1), options.parallel))
    print(f"{options.trials} trials, {options.parallel} at a time, medians of {options.rounds} rounds, trials/s")
    print(f"{'':<24} {'rate':>7} {'whole':>7} {'of bare':>8}")
    for name, found in speeds.items():
        pairs = list(zip(found, speeds["bare asyncio loop"], strict=False))
        ratio = statistics.median(one.rate / other.rate for one, other in pairs)
        print(f"{name:<24} {median(found, 0):>7.0f} {median(found, 1):>7.0f} {ratio:>8.2f}")


def flat(options: argparse.Namespace) -> None:
    """The cost of a trial as experiments grow."""
    print("milliseconds per trial, first trial to last (the bare loop's in the same minute)")
    print(f"{'trials':>7} {'random':>8} {'tpe':>8} {'bare':>8}")
    for trials in FLAT:
        costs = [1000 / katib(trials, options.parallel, name).rate for name in ("random", "tpe")]
        print(
            f"{trials:>7} {costs[0]:>8.2f} {costs[1]:>8.2f} {1000 / bare(trials, options.parallel).rate:>8.2f}",
            flush=True,
        )


def median(speeds: Sequence[Speed], column: int) -> float:
    """The median of one column."""
    return statistics.median(speed[column] for speed in speeds)


def main() -> None:
    """Parse the options and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip", nargs="+", default=(), choices=("optuna", "ray"))
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="katib-throughput-") as folder:
        tempfile.tempdir = folder
        # Where the file system knows no such mark it is not needed.
        subprocess.run(["chattr", "+T", folder], check=False, capture_output=True)
        (flat if options.flat else compare)(options)


if __name__ == "__main__":
    main()
