"""How fast the control plane is, and what it takes: real etcd and kube-apiserver, the kubelet played.

python -m benchmarks.controlplane rate [--rounds 3]        trials per second of three cases, beside a bare loop
python -m benchmarks.controlplane scale [--trials 20000]   one experiment: sizes of objects, memory, cost per trial
python -m benchmarks.controlplane logs [--trials 1000]     running trials that print, followed; the leader killed
Cells are kept in --cells and not run again; --again runs them anew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from benchmarks.controlplane import logs, rate, scale


def rates(options: argparse.Namespace) -> None:
    """Trials per second: the rounds that are missing, and the table of all."""
    cells = [_cell(options, f"rate-{number}", rate.measure(rate.CASES)) for number in range(options.rounds)]
    print(*rate.table(cells), sep="\n")


def scales(options: argparse.Namespace) -> None:
    """One long experiment."""
    measuring = scale.measure(options.trials, options.parallel)
    print(*scale.table(_cell(options, f"scale-{options.trials}-{options.parallel}", measuring)), sep="\n")


def prints(options: argparse.Namespace) -> None:
    """Trials that run and print."""
    measuring = logs.measure(logs.Plan(options.trials, options.seconds))
    print(*logs.table(_cell(options, f"logs-{options.trials}", measuring)), sep="\n")


def _cell(options: argparse.Namespace, name: str, measuring: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What was measured before, or is now."""
    path = options.cells / f"{name}.json"
    if options.again or not path.exists():
        found = asyncio.run(measuring)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    measuring.close()
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/controlplane"))
    parser.add_argument("--again", action="store_true")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rate")
    command.set_defaults(run=rates)
    command.add_argument("--rounds", type=int, default=3)
    command = commands.add_parser("scale")
    command.set_defaults(run=scales)
    command.add_argument("--trials", type=int, default=20_000)
    command.add_argument("--parallel", type=int, default=100)
    command = commands.add_parser("logs")
    command.set_defaults(run=prints)
    command.add_argument("--trials", type=int, default=1000)
    command.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
