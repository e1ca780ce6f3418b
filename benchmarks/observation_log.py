"""What the observation log costs: 1,000 trials with a line a second each, followed by a controller.

Run from the repository root: `python benchmarks/observation_log.py [URL]`; without a URL, in an SQLite file.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Final

import psutil

from katib_py.core.objective import Measurement
from katib_py.core.trial import trial_uid
from katib_py.observations.log import Run
from katib_py.observations.remote import RemoteLog
from katib_py.observations.tail import Tail

TRIALS: Final = 1000
EXPERIMENTS: Final = 10
SECONDS: Final = 20
LINES: Final = 100  # that each trial has in the end
START: Final = datetime(2026, 1, 1, tzinfo=UTC)


def main(url: str | None) -> None:
    """Print the figures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        db_manager(url or f"sqlite:///{folder}/katib.db") as (address, process),
    ):
        asyncio.run(measure(address, process))


@contextmanager
def db_manager(url: str) -> Iterator[tuple[str, psutil.Process]]:
    """A db-manager on this database."""
    command = [sys.executable, "-m", "katib_py.observations", "--listen", "127.0.0.1:0"]
    environment = {**os.environ, "KATIB_DB_URL": url}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            if process.stdout is None or not (line := process.stdout.readline()):
                raise SystemExit(1)
            yield line.split()[-1], psutil.Process(process.pid)
        finally:
            process.terminate()


async def measure(address: str, server: psutil.Process) -> None:
    """Let the trials run, then read and delete what they left."""
    log = RemoteLog(address)
    runs = [Run("default", f"demo-{number}", trial_uid("demo", str(number)), "1") for number in range(TRIALS)]
    before, began = (cpu(server), cpu()), time.monotonic()
    found = await live(log, runs)
    wall = time.monotonic() - began
    print(f"followed {found} of {TRIALS * SECONDS} measurements")
    print(f"db-manager {(cpu(server) - before[0]) / wall:.3f} core, controller {(cpu() - before[1]) / wall:.3f} core")
    for first in range(SECONDS, LINES, 10):
        await log.append(lines(runs, range(first, min(first + 10, LINES))))
    began = time.monotonic()
    read = await log.read_many([(run.trial_uid, run.attempt) for run in runs])
    print(f"read {sum(map(len, read.values()))} measurements in one call: {time.monotonic() - began:.2f} s")
    began = time.monotonic()
    held = await log.held()
    print(f"found the {len(held)} trials for the sweep: {time.monotonic() - began:.3f} s")
    began = time.monotonic()
    await log.delete(held)
    print(f"deleted them: {time.monotonic() - began:.2f} s")
    await log.close()


async def live(log: RemoteLog, runs: Sequence[Run]) -> int:
    """A line of each trial every second, and every experiment follows its own; how many came back."""
    tail, found = Tail(log), 0
    size = TRIALS // EXPERIMENTS
    groups = [[run.trial_uid for run in runs[first : first + size]] for first in range(0, TRIALS, size)]
    cursors = [0] * EXPERIMENTS
    for second in range(SECONDS + 2):  # the last lines are met a second later
        began = time.monotonic()
        if second < SECONDS:
            await log.append(lines(runs, range(second, second + 1)))
        for number, group in enumerate(groups):
            cursors[number], rows = await tail.since(cursors[number], group)
            found += len(rows)
        await asyncio.sleep(max(0.0, 1.0 - (time.monotonic() - began)))
    return found


def lines(runs: Sequence[Run], positions: range) -> list[tuple[Run, list[Measurement]]]:
    """What every trial measures at these positions."""
    return [(run, [Measurement("loss", "0.123456", START, position + 1) for position in positions]) for run in runs]


def cpu(process: psutil.Process | None = None) -> float:
    """Seconds of a core that the process, by default this one, has used."""
    times = (process or psutil.Process()).cpu_times()
    return times.user + times.system


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
