"""The table of the cells that are there."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.quality import baselines, fidelity, suite
from benchmarks.quality.cells import BATCHES, SEQUENCE, Cell, chosen, per_proposal

COLUMNS: Final = ((BATCHES, 128, "16x8"), (SEQUENCE, 64, "64x1"), (SEQUENCE, 128, "128x1"))
NONE: Final = "–"


@dataclass(frozen=True)
class Cells:
    """Every cell of one optimiser with one budget, by problem and seed."""

    found: dict[str, dict[int, dict[str, Any]]]

    @classmethod
    def of(cls, root: Path, optimiser: str, budget: str) -> Cells:
        """Those that are kept."""
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for problem in suite.PROBLEMS:
            cells = {seed: Cell(optimiser, problem, budget, seed).read(root) for seed in baselines.SEEDS}
            found[problem] = {seed: kept for seed, kept in cells.items() if kept is not None}
        return cls(found)

    def scores(self, problem: str, evaluations: int) -> dict[int, float]:
        """The score of each seed."""
        return {
            seed: baselines.score(suite.PROBLEMS[problem], seed, chosen(kept, evaluations), evaluations)
            for seed, kept in self.found[problem].items()
        }

    def all(self) -> list[dict[str, Any]]:
        """All of them."""
        return [kept for by_seed in self.found.values() for kept in by_seed.values()]


def mean(values: Sequence[float]) -> str:
    """A mean with its standard error, where one can be told."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else NONE
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.1f}"


def of_group(cells: Cells, group: str, evaluations: int) -> str:
    """The mean over a group's problems, its error over seeds; only seeds with every problem count, if there are any."""
    problems = [name for name, problem in suite.PROBLEMS.items() if problem.group == group]
    scores = {name: cells.scores(name, evaluations) for name in problems}
    whole = set.intersection(*(set(by_seed) for by_seed in scores.values()))
    if whole:
        text = mean([float(np.mean([scores[name][seed] for name in problems])) for seed in sorted(whole)])
        return f"{text} ({len(whole)})"
    begun = [float(np.mean(list(by_seed.values()))) for by_seed in scores.values() if by_seed]
    return f"[{np.mean(begun):.1f}: {len(begun)} of {len(problems)} problems]" if begun else NONE


def summary(root: Path) -> Iterator[str]:
    """A row for every optimiser: its scores by group and budget, what it takes, what it rests on."""
    heads = [f"{group} {title}" for group in suite.GROUPS for _, _, title in COLUMNS]
    yield from _head(["optimiser", "version", *heads, "ms a proposal", "cells"])
    for optimiser in suite.OPTIMISERS:
        by_budget = {budget: Cells.of(root, optimiser, budget) for budget in (BATCHES, SEQUENCE)}
        kept = [cell for cells in by_budget.values() for cell in cells.all()]
        if not kept:
            yield _row([optimiser, suite.version(optimiser), *[NONE] * len(heads), NONE, "0"])
            continue
        scores = [
            of_group(by_budget[budget], group, evaluations)
            for group in suite.GROUPS
            for budget, evaluations, _ in COLUMNS
        ]
        seconds = 1000 * median(map(per_proposal, kept))
        yield _row([optimiser, suite.version(optimiser), *scores, f"{seconds:.3g}", str(len(kept))])


def by_problem(root: Path) -> Iterator[str]:
    """A row for every problem, batches only, with every seed that there is."""
    cells = {name: Cells.of(root, name, BATCHES) for name in suite.OPTIMISERS}
    names = [name for name, of_name in cells.items() if of_name.all()]
    yield from _head([f"{BATCHES}", *names])
    for problem in suite.PROBLEMS:
        yield _row([problem, *(mean(list(cells[name].scores(problem, 128).values())) for name in names)])


def curves(root: Path) -> Iterator[str]:
    """How many epochs each multi-fidelity search needs for random search's final quality."""
    yield from _head(["search", "version", "epochs", "as a share", "from scratch", "best loss", "reached by"])
    for name in fidelity.searches():
        cells = [Cell(name, fidelity.PROBLEM, fidelity.BUDGET, seed).read(root) for seed in baselines.SEEDS]
        found = [cell for cell in cells if cell is not None]
        if found:
            yield _row([name, suite.version(name), *_epochs(found)])


def _epochs(found: Sequence[dict[str, Any]]) -> list[str]:
    """Where the loss was not reached, the limit counts."""
    ends = [fidelity.reached(cell, baselines.target()) for cell in found]
    spent = [min(end or fidelity.LIMIT, fidelity.LIMIT) for end in ends]
    scratch = [fidelity.reached(cell, baselines.target(), "scratch") or fidelity.LIMIT for cell in found]
    best = np.mean([min(end["loss"] for end in cell["ends"]) for cell in found])
    share = np.mean(spent) / fidelity.LIMIT
    reached = f"{len(found) - ends.count(None)} of {len(found)}"
    return [_whole(spent), f"{share:.2f}", _whole(scratch), f"{best:.4f}", reached]


def _whole(values: Sequence[float]) -> str:
    """A mean of counts with its standard error."""
    error = f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.0f}" if len(values) > 1 else ""
    return f"{np.mean(values):.0f}{error}"


def report(root: Path) -> Iterator[str]:
    """All three tables, and what they rest on."""
    target = baselines.target()
    yield from summary(root)
    yield f"\nIn parentheses the number of seeds with all problems of the group. {_dates(root)}\n"
    yield from by_problem(root)
    yield f"\nLearning curves, {fidelity.WORKERS} workers: epochs until a loss of {target:.4f}, which random search is"
    yield f"expected to end with after {fidelity.TRAININGS} full trainings, {fidelity.LIMIT} epochs.\n"
    yield from curves(root)


def _dates(root: Path) -> str:
    dates = sorted({cell["date"] for name in suite.OPTIMISERS for cell in Cells.of(root, name, BATCHES).all()})
    spans = f"from {dates[0]} to {dates[-1]}" if dates else "never"
    return f"Python {platform.python_version()}, one thread; measured {spans}, beside other work."


def _head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), "|" + "---|" * len(cells)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
