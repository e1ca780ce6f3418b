"""A trial of the chaos campaign: reports two metrics while it sleeps, and keeps its own account of what it reported.

The account is one file per process, named TRIAL.ATTEMPT.PID, of JSON lines; its last line says that the program ended.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

STEP_SECONDS: Final = 0.25
SCALE: Final = 1024  # values are multiples of 1/1024, which float32 and float64 hold exactly

Report = Callable[[int, Mapping[str, float]], None]


def stdout(step: int, metrics: Mapping[str, float]) -> None:
    """A line of text."""
    print(f"step={step}", *(f"{name}={value!r}" for name, value in metrics.items()), flush=True)


@contextmanager
def events() -> Iterator[Report]:
    """TensorBoard scalars in the folder that the collector reads."""
    from trial_templates.events import event_file

    with event_file(os.environ["KATIB_METRICS_PATH"]) as record:
        yield record


def push(step: int, metrics: Mapping[str, float]) -> None:
    """A report over gRPC; a duty of the platform, so trouble is an error here."""
    from katib_py import report_metrics

    report_metrics(metrics)


@contextmanager
def reporter(kind: str) -> Iterator[Report]:
    """How to report to a collector of this kind."""
    if kind == "TensorFlowEvent":
        with events() as record:
            yield record
    else:
        yield push if kind == "Push" else stdout


def measured(x: float, step: int) -> dict[str, float]:
    """Two curves that differ from trial to trial and never repeat a value within one."""
    return {"loss": (round(x * 1000) * 64 + 4000 - step) / SCALE, "accuracy": (step * 7 + round(x * 100)) / SCALE}


def main() -> None:
    """Report and sleep for as long as x says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float, required=True)
    parser.add_argument("--seconds", type=float, nargs=2, required=True)
    parser.add_argument("--kind", required=True)
    parser.add_argument("--accounts", type=Path, required=True)
    options = parser.parse_args()
    shortest, longest = options.seconds
    name = f"{os.environ['KATIB_TRIAL_NAME']}.{os.environ['KATIB_TRIAL_ATTEMPT']}.{os.getpid()}"
    with open(options.accounts / name, "x", buffering=1) as account, reporter(options.kind) as report:
        # From here on, so that a slow import leaves time for at least one report.
        end = time.monotonic() + shortest + (longest - shortest) * (options.x * 97 % 1)
        step = 0
        while time.monotonic() < end or step == 0:
            metrics = measured(options.x, step)
            report(step, metrics)
            account.write(json.dumps(metrics) + "\n")
            step += 1
            time.sleep(STEP_SECONDS)
        account.write('"ended"\n')


if __name__ == "__main__":
    main()
