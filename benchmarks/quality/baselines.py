"""What random search is expected to find, and the least loss there is: 0 and 100 of the scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality import fidelity, suite
from benchmarks.quality.bbob import BbobObjective
from benchmarks.quality.problems import Function, Loss, Problem
from benchmarks.quality.tables import DIGITS_CURVES, FOLDER, Table
from suggestion_services.space import Space

PATH: Final = FOLDER / "baselines.json"
DRAWS: Final = 50_000
BUDGETS: Final = (64, 128)
SEEDS: Final = range(10)
Entry = dict[str, float]


def expected(losses: list[Loss], evaluations: int) -> float:
    """The expected true loss of the point that looks best among so many of these, drawn with replacement."""
    seen, true = np.array(losses).T
    order = np.argsort(seen, kind="stable")
    ranks = np.arange(len(order) + 1) / len(order)
    chances = -np.diff((1 - ranks) ** evaluations)
    return float(chances @ true[order])


def draws(problem: Problem | Table, objective: Function | BbobObjective) -> list[Loss]:
    """The losses of random search's points."""
    if isinstance(objective, BbobObjective):
        return objective.draw(DRAWS, 0)
    space = Space.of(problem.parameters)
    points = space.from_unit(np.random.default_rng(0).random((DRAWS, len(space.names))))
    return objective.losses([dict(space.texts(point)) for point in points])


def measure(problem: Problem, instance_seed: int) -> Entry:
    """The baseline of one instance."""
    objective: Any = problem.open(instance_seed)
    try:
        losses = draws(problem, objective)
    finally:
        objective.close()
    # What lies above the least value is the loss of all but the tables.
    least = float(problem.cells.min()) if isinstance(problem, Table) else 0.0
    return {"least": least, **{str(budget): expected(losses, budget) for budget in BUDGETS}}


def make(path: Path = PATH) -> Iterator[str]:
    """Measure what is missing and write it down; yields the names of what was measured."""
    known = read(path)
    for problem in suite.PROBLEMS.values():
        for instance, seed in {problem.instance(seed): seed for seed in SEEDS}.items():
            if str(instance) not in known.get(problem.name, {}):
                known.setdefault(problem.name, {})[str(instance)] = measure(problem, seed)
                yield f"{problem.name}, instance {instance}"
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    if fidelity.PROBLEM not in known:
        losses = draws(DIGITS_CURVES, Function(fidelity.full))
        target = expected(losses, fidelity.TRAININGS)
        known[fidelity.PROBLEM] = {"0": {"least": float(DIGITS_CURVES.cells.min()), "target": target}}
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        yield fidelity.PROBLEM


def read(path: Path = PATH) -> dict[str, dict[str, Entry]]:
    """The baselines by problem and instance."""
    known: dict[str, dict[str, Entry]] = json.loads(path.read_text()) if path.exists() else {}
    return known


committed = cache(read)


def score(problem: Problem, seed: int, loss: float, evaluations: int) -> float:
    """0 where the loss is what random search is expected to find, 100 where it is the least there is."""
    entry = committed()[problem.name][str(problem.instance(seed))]
    return 100 * (entry[str(evaluations)] - loss) / (entry[str(evaluations)] - entry["least"])


def target() -> float:
    """The loss of a learning curve that random search is expected to end with."""
    return committed()[fidelity.PROBLEM]["0"]["target"]
