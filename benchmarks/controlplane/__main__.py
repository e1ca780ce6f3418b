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
from pathlib import Path

from benchmarks.controlplane import rate


def rates(options: argparse.Namespace) -> None:
    """Run the rounds that are missing, and print the table of all."""
    cells = []
    for number in range(options.rounds):
        cell = options.cells / f"rate-{number}.json"
        if options.again or not cell.exists():
            found = asyncio.run(rate.measure(rate.CASES))
            cell.parent.mkdir(parents=True, exist_ok=True)
            cell.write_text(json.dumps(found, indent=1))
        cells.append(json.loads(cell.read_text()))
    print(*rate.table(cells), sep="\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/controlplane"))
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("rate")
    command.set_defaults(run=rates)
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--again", action="store_true")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
