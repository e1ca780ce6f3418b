"""Multi-fidelity searches on recorded learning curves: eight workers, a clock that is counted in epochs.

A trial that goes on where another one stopped trains the epochs that are missing; `scratch` counts as if each trained
from the beginning. What is measured is how many epochs all workers have spent when a loss as good as that
of random search's best of 64 full trainings is first seen.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from benchmarks.quality.problems import Values, within
from benchmarks.quality.search import Ours
from benchmarks.quality.tables import DIGITS_CURVES, EPOCHS
from suggestion_services.registry import ALGORITHMS

PROBLEM: Final = DIGITS_CURVES.name
WORKERS: Final = 8
TRAININGS: Final = 64
LIMIT: Final = TRAININGS * EPOCHS
BUDGET: Final = f"{WORKERS}w"
RESOURCE: Final = "epochs"
LADDER: Final = {"r_l": str(EPOCHS), "resource_name": RESOURCE, "eta": "3"}
SETTINGS: Final[dict[str, dict[str, str]]] = {
    "hyperband": {**LADDER, "cycles": "0"},
    "asha": LADDER,
    "bohb": {**LADDER, "cycles": "0"},
}
FULL: Final = ("random", "tpe")


def searches() -> list[str]:
    """Those that train all epochs, and those of the multi-fidelity ones that are registered."""
    return [name for name in (*FULL, *SETTINGS) if name in ALGORITHMS]


class Running(NamedTuple):
    """A trial on a worker, ordered by its end."""

    end: int
    name: str
    cost: int
    epochs: int
    loss: float


@dataclass
class Farm:
    """The workers and what they have spent."""

    search: Ours
    now: int = 0
    running: list[Running] = field(default_factory=list)
    epochs_of: dict[str, int] = field(default_factory=dict)
    spent: int = 0
    scratch: int = 0

    def fill(self) -> None:
        """Give every idle worker a trial, as far as there are any."""
        for name, values in self.search.start(WORKERS - len(self.running)):
            epochs = int(values.get(RESOURCE, EPOCHS))
            cost = max(epochs - self.epochs_of.get(self._parent(name), 0), 1)
            loss = float(DIGITS_CURVES.at(values)[epochs - 1])
            heapq.heappush(self.running, Running(self.now + cost, name, cost, epochs, loss))
            self.epochs_of[name] = epochs

    def _parent(self, name: str) -> str:
        labels = self.search.labels(name)
        return next((value for key, value in labels.items() if key.endswith("/parent")), "")

    def step(self) -> dict[str, Any]:
        """Go to the next end of a trial."""
        trial = heapq.heappop(self.running)
        self.now = trial.end
        self.spent += trial.cost
        self.scratch += trial.epochs
        self.search.finish(trial.name, trial.loss)
        under_way = sum(other.cost - (other.end - self.now) for other in self.running)
        return {
            "spent": self.spent + under_way,
            "scratch": self.scratch + under_way,
            "epochs": trial.epochs,
            "loss": trial.loss,
        }


def run(optimiser: str, seed: int, limit: int = LIMIT) -> dict[str, Any]:
    """Every end of a trial until so many epochs are spent."""
    resource = within(RESOURCE, "int", 1, EPOCHS)
    parameters = (*DIGITS_CURVES.parameters, *((resource,) if optimiser in SETTINGS else ()))
    farm = Farm(Ours(optimiser, parameters, seed, SETTINGS.get(optimiser)))
    ends: list[dict[str, Any]] = []
    farm.fill()
    while farm.running and (not ends or ends[-1]["spent"] < limit):
        ends.append(farm.step())
        farm.fill()
    return {"ends": ends}


def full(values: Values) -> float:
    """The loss after all epochs."""
    return float(DIGITS_CURVES.at(values)[-1])


def reached(found: dict[str, Any], target: float, count: str = "spent") -> int | None:
    """How many epochs were spent when a loss was first no more than the target."""
    return next((end[count] for end in found["ends"] if end["loss"] <= target), None)
