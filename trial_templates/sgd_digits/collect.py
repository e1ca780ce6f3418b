"""python -m trial_templates.sgd_digits.collect FILE: a custom metrics collector for what --format=csv writes.

Runs beside the trial, follows its file to the line `end`, and reports each epoch to the db-manager. Where the file
never ends, because the trial failed, the platform ends the collector.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from katib_py import report_metrics

LOOK_EVERY_SECONDS = 0.2


def main(arguments: Sequence[str] | None = None) -> None:
    """Report every epoch in the file, each as soon as it is there."""
    parser = argparse.ArgumentParser(prog="trial_templates.sgd_digits.collect", description=__doc__)
    parser.add_argument("file", type=Path, help="what the trial writes; it need not exist yet")
    for line in follow(parser.parse_args(arguments).file):
        _, loss, accuracy = line.split(",")
        report_metrics(metrics={"loss": float(loss), "accuracy": float(accuracy)})


def follow(file: Path) -> Iterator[str]:
    """The lines of a growing file before the line `end`."""
    while not file.exists():
        time.sleep(LOOK_EVERY_SECONDS)
    started = ""
    with file.open() as lines:
        while True:
            started += lines.readline()
            if not started.endswith("\n"):
                time.sleep(LOOK_EVERY_SECONDS)
                continue
            line, started = started.rstrip("\n"), ""
            if line == "end":
                return
            yield line


if __name__ == "__main__":
    main()
