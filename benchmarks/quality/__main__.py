"""How good the searches are: BBOB, tuning, mixed analytic problems and learning curves, beside other libraries.

python -m benchmarks.quality [--quick]     run the cells that are missing and print the table
python -m benchmarks.quality table         print the table of the cells that are there; --write puts it into README.md
python -m benchmarks.quality train         compute the missing tables of losses in data/
python -m benchmarks.quality baselines     estimate what is missing of random search's expected results in data/

Cells are kept in --cells and not run again; a search that changed has another version and so other cells. Peers are
installed by uv when they are first wanted, into .katib/benchmarks/environments or the folder that KATIB_PY_PEERS names.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Final

from benchmarks.quality import baselines, scores, suite, training
from benchmarks.quality.cells import BATCHES, SEQUENCE, Runner, Selection
from benchmarks.quality.environments import ENVIRONMENTS

README: Final = Path(__file__).parent / "README.md"
MARK: Final = "<!-- printed by the command -->\n"
QUICK: Final = ("random", "sobol", "tpe", "multivariate-tpe", "cmaes", "optuna-tpe", "hyperopt-tpe")
QUICK_MINUTES: Final = 13


def main() -> None:
    options = parser().parse_args()
    match options.action:
        case "train":
            for table, size in training.make():
                print(f"{table.name}: {size} cells, {table.path.stat().st_size // 1024} KiB", flush=True)
        case "baselines":
            for name in baselines.make():
                print(name, flush=True)
        case "run":
            runner(options).run(selection(options), lambda line: print(line, flush=True))
            show(options)
        case "table":
            show(options)


def runner(options: argparse.Namespace) -> Runner:
    """What runs the cells."""
    minutes = min(options.minutes, QUICK_MINUTES) if options.quick else options.minutes
    workers = options.workers or (2 if options.quick else 1)
    return Runner(options.cells, ENVIRONMENTS, workers, time.time() + 60 * minutes)


def selection(options: argparse.Namespace) -> Selection:
    """The cells that the options name."""
    optimisers = listed(options.optimisers, suite.OPTIMISERS)
    if options.quick and not options.optimisers:
        optimisers = tuple(name for name in QUICK if name in suite.OPTIMISERS)
    problems = tuple(name for name, item in suite.PROBLEMS.items() if options.only in {"", item.group})
    return Selection(
        optimisers,
        tuple(name for name in problems if any(part in name for part in options.problems.split(","))),
        seeds(options.seeds or ("0-1" if options.quick else "0-9")),
        (BATCHES,) if options.quick else tuple(options.budgets.split(",")),
        curves=options.only in {"", "curves"} and not options.problems,
    )


def listed(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names in a comma-separated text, all of them if it is empty; ends the program at an unknown one."""
    names = tuple(text.split(",")) if text else known
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"unknown optimiser {unknown[0]}; there are {', '.join(known)}")
    return names


def seeds(text: str) -> tuple[int, ...]:
    """5 is that one, 0-4 are the first five."""
    first, _, last = text.partition("-")
    return tuple(range(int(first), int(last or first) + 1))


def show(options: argparse.Namespace) -> None:
    """Print the table; --write keeps it too."""
    text = "\n".join(scores.report(options.cells)) + "\n"
    print(text)
    if options.write:
        before = README.read_text().partition(MARK)[0]
        README.write_text(f"{before}{MARK}\n{text}")


def parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", default="run", choices=("run", "table", "train", "baselines"))
    parser.add_argument("--quick", action="store_true", help="the cheap searches, two seeds, under 15 minutes")
    parser.add_argument("--seeds", default="", help="0-9 by default")
    parser.add_argument("--optimisers", default="", help="names, with commas between")
    parser.add_argument("--problems", default="", help="parts of names, with commas between")
    parser.add_argument("--only", default="", choices=("", *suite.GROUPS, "curves"), help="one group of problems")
    parser.add_argument("--budgets", default=f"{BATCHES},{SEQUENCE}")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no cell after so many")
    parser.add_argument("--workers", type=int, default=0, help="processes")
    parser.add_argument("--cells", type=Path, default=Path(".katib/benchmarks/quality"))
    parser.add_argument("--write", action="store_true")
    return parser


if __name__ == "__main__":
    main()
