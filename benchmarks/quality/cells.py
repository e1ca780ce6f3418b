"""A cell: one search by one version of one optimiser on one problem with one seed, kept in a file and not run again."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from benchmarks.quality import fidelity, suite
from benchmarks.quality.environments import NotInstalled
from benchmarks.quality.problems import Problem

BATCHES, SEQUENCE = "16x8", "128x1"
SLOWEST: Final = 0.5  # seconds a proposal; what is slower is not searched one by one


@dataclass(frozen=True)
class Cell:
    """What is run; the budget is rounds x parallel, or the name of a multi-fidelity one."""

    optimiser: str
    problem: str
    budget: str
    seed: int

    def path(self, root: Path) -> Path:
        """Where it is kept."""
        version = suite.version(self.optimiser)
        return root / self.problem.replace(" ", "-") / self.budget / f"{self.optimiser}@{version}" / f"{self.seed}.json"

    @property
    def label(self) -> str:
        """The cell in a line of a log."""
        return f"{self.optimiser}, {self.problem}, {self.budget}, seed {self.seed}"

    def is_fast(self, root: Path) -> bool:
        """Whether its search took little enough for each proposal to be made one by one too."""
        found = self.read(root)
        return found is not None and per_proposal(found) < SLOWEST

    def read(self, root: Path) -> dict[str, Any] | None:
        """What was kept, if it was."""
        try:
            kept: dict[str, Any] = json.loads(self.path(root).read_text())
        except FileNotFoundError:
            return None
        return kept

    def run(self, root: Path, environments: Path) -> dict[str, Any]:
        """Search, and keep it; the file is there whole or not at all."""
        if self.budget == fidelity.BUDGET:
            found = fidelity.run(self.optimiser, self.seed)
        else:
            found = searched(self, suite.PROBLEMS[self.problem], environments)
        found |= {"date": date.today().isoformat(), "version": suite.version(self.optimiser)}
        path = self.path(root)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")
        unfinished.write_text(json.dumps(found))
        unfinished.replace(path)
        return found


def searched(cell: Cell, problem: Problem, environments: Path) -> dict[str, Any]:
    """The seen and true losses in order, and the seconds that each batch took to propose and to learn."""
    rounds, parallel = map(int, cell.budget.split("x"))
    seen, true, seconds = [], [], []
    with (
        closing(problem.open(cell.seed)) as objective,
        closing(suite.search(cell.optimiser, problem.parameters, cell.seed, environments)) as optimiser,
    ):
        for _ in range(rounds):
            begin = time.perf_counter()
            points = optimiser.ask(parallel)
            asking = time.perf_counter() - begin
            losses = objective.losses(points)
            begin = time.perf_counter()
            optimiser.tell([loss.seen for loss in losses])
            seconds.append(round(asking + time.perf_counter() - begin, 5))
            seen += [loss.seen for loss in losses]
            true += [loss.true for loss in losses]
    return {"seen": seen, "true": true, "seconds": seconds}


def chosen(found: dict[str, Any], evaluations: int) -> float:
    """The true loss of the point that looked best after so many evaluations."""
    seen = found["seen"][:evaluations]
    return float(found["true"][min(range(len(seen)), key=seen.__getitem__)])


def per_proposal(found: dict[str, Any]) -> float:
    """Seconds a proposal."""
    return float(sum(found["seconds"]) / max(len(found["seen"]), 1))


@dataclass(frozen=True)
class Selection:
    """Which cells are wanted."""

    optimisers: tuple[str, ...]
    problems: tuple[str, ...]
    seeds: tuple[int, ...]
    budgets: tuple[str, ...] = (BATCHES, SEQUENCE)
    curves: bool = True

    def rounds(self, root: Path) -> Iterator[list[Cell]]:
        """Seed by seed, so that an interrupted run can be compared; each round when the one before has run."""
        for seed in self.seeds:
            if self.curves:
                yield [Cell(name, fidelity.PROBLEM, fidelity.BUDGET, seed) for name in fidelity.searches()]
            for optimiser in self.optimisers:
                batches = [Cell(optimiser, problem, BATCHES, seed) for problem in self.problems]
                if BATCHES in self.budgets:
                    yield batches
                if SEQUENCE in self.budgets:
                    yield [replace(cell, budget=SEQUENCE) for cell in batches if cell.is_fast(root)]


@dataclass(frozen=True)
class Runner:
    """Runs what is missing until the time is over."""

    root: Path
    environments: Path
    workers: int = 1
    ends: float = math.inf

    def run(self, selection: Selection, say: Callable[[str], None]) -> None:
        """Every cell, with a line for each that was run or could not be."""
        present = tuple(self._installed(selection.optimisers, say))
        chosen = replace(selection, optimisers=present)
        with ProcessPoolExecutor(self.workers, mp_context=get_context("spawn")) as pool:
            each = pool.map if self.workers > 1 else map
            for cells in chosen.rounds(self.root):
                for line in each(self.attempt, [cell for cell in cells if not cell.path(self.root).exists()]):
                    if line:
                        say(line)

    def _installed(self, optimisers: Sequence[str], say: Callable[[str], None]) -> Iterator[str]:
        """Those that are ours, and the peers whose environment is there or can be made."""
        for name in optimisers:
            try:
                suite.install(name, self.environments)
            except NotInstalled as error:
                say(f"{name} is not installed: {error}")
            else:
                yield name

    def attempt(self, cell: Cell) -> str:
        """Run one cell; what it took, or why there is none."""
        begin = time.time()
        if begin > self.ends:
            return ""
        try:
            cell.run(self.root, self.environments)
        except Exception as error:  # noqa: BLE001 - the edge: a search that fails is told of, the others go on
            return f"{cell.label}: {type(error).__name__}: {error}"
        return f"{cell.label}: {time.time() - begin:.1f} s"
