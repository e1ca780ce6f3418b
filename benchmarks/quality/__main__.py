"""How good the searches are: six mixed problems, 100 evaluations in batches of 4, beside Optuna's TPE.

python -m benchmarks.quality [--seeds 10] [--budget 100] [--batch 4] [--searches tpe,optuna-tpe]
Cells are kept in --cells and not run again. The table shows the mean of the best loss and its standard error; the least
loss of every problem is 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.quality.problems import PROBLEMS, Problem
from benchmarks.quality.search import optuna_tpe, ours

Run = Callable[[Problem, int, int, int], Iterator[float]]

SEARCHES: dict[str, Run] = {
    "random": partial(ours, "random"),
    "sobol": partial(ours, "sobol"),
    "tpe": partial(ours, "tpe"),
    "optuna-tpe": partial(optuna_tpe, False),
    "multivariate-tpe": partial(ours, "multivariate-tpe"),
    "optuna-multivariate-tpe": partial(optuna_tpe, True),
    "bayesianoptimization": partial(ours, "bayesianoptimization"),
}


def best(options: argparse.Namespace, name: str, problem: Problem, seed: int) -> float:
    """The best loss of one search, run unless its cell is there."""
    folder = options.cells / name / f"{problem.name} {options.budget} by {options.batch}"
    cell = folder / f"{seed}.json"
    if not cell.exists():
        losses = list(SEARCHES[name](problem, seed, options.budget, options.batch))
        folder.mkdir(parents=True, exist_ok=True)
        cell.write_text(json.dumps(losses))
    return float(min(json.loads(cell.read_text())))


def row(options: argparse.Namespace, name: str) -> list[str]:
    """The mean and its standard error per problem."""
    cells = [name]
    for problem in PROBLEMS:
        found = np.array([best(options, name, problem, seed) for seed in range(options.seeds)])
        cells.append(f"{found.mean():.4f} ± {found.std(ddof=1) / np.sqrt(len(found)):.4f}")
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--budget", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--searches", default=",".join(SEARCHES))
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/quality"))
    options = parser.parse_args()
    names = ["search", *(problem.name for problem in PROBLEMS)]
    print(f"| {' | '.join(names)} |", f"|{'---|' * len(names)}", sep="\n")
    for name in options.searches.split(","):
        print(f"| {' | '.join(row(options, name))} |", flush=True)


if __name__ == "__main__":
    main()
