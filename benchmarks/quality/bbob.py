"""Six functions of BBOB, one of each group and a noisy one, in 5 and 10 dimensions (Hansen et al., 2009 and 2021).

A seed meets the instance of its number. Losses are what lies above the least value. The noisy one is judged by its
value without noise at the point whose noisy value was least.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.quality.environments import COCO, ENVIRONMENTS, python_of
from benchmarks.quality.pipe import Pipe
from benchmarks.quality.problems import Loss, Values, within
from katib_py.core.space import ParameterSpec

FUNCTIONS: Final = {
    3: "Rastrigin separable",
    8: "Rosenbrock",
    13: "sharp ridge",
    15: "Rastrigin",
    21: "Gallagher",
    122: "Schaffer noisy",
}


@dataclass(frozen=True)
class Bbob:
    """One function in one dimension."""

    function: int
    dimension: int
    group: str = "bbob"

    @property
    def name(self) -> str:
        """Number, name and dimension."""
        return f"f{self.function} {FUNCTIONS[self.function]} {self.dimension}D"

    @property
    def parameters(self) -> tuple[ParameterSpec, ...]:
        """The usual region of interest."""
        return tuple(within(f"x{index}", "double", -5, 5) for index in range(self.dimension))

    def instance(self, seed: int) -> int:
        """Instances count from 1."""
        return seed + 1

    def open(self, seed: int) -> BbobObjective:
        """An evaluating program of this instance."""
        return BbobObjective(self, self.instance(seed))


class BbobObjective:
    """A function evaluated in COCO's own environment."""

    def __init__(self, problem: Bbob, instance: int) -> None:
        self._names = [item.name for item in problem.parameters]
        start = {"function": problem.function, "dimension": problem.dimension, "instance": instance}
        self._pipe = Pipe(python_of(COCO, ENVIRONMENTS), {"what": "bbob", **start})

    def losses(self, points: Sequence[Values]) -> list[Loss]:
        """What lies above the least value."""
        rows = [[float(point[name]) for name in self._names] for point in points]
        return [Loss(*pair) for pair in self._pipe.call({"do": "losses", "points": rows})["losses"]]

    def draw(self, count: int, seed: int) -> list[Loss]:
        """The losses of random points."""
        return [Loss(*pair) for pair in self._pipe.call({"do": "draw", "count": count, "seed": seed})["losses"]]

    def close(self) -> None:
        """End the program."""
        self._pipe.close()


BBOB: Final = tuple(Bbob(function, dimension) for function in FUNCTIONS for dimension in (5, 10))
