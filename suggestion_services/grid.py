"""Grid search: every point of a finite space once, in an order shuffled by the seed, and then the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from katib_py.core.errors import Problem
from katib_py.core.permutation import permuted
from suggestion_services.arrays import Floats
from suggestion_services.contract import Proposal, Request, SearchEnded, random_state
from suggestion_services.distinct import Distinct
from suggestion_services.space import ENUMERABLE, Space


@dataclass(frozen=True, slots=True)
class Grid:
    """Assignment number n is the point at place n of the shuffled grid, so nothing needs to be remembered."""

    random_state: int | None = random_state()

    learns: ClassVar[bool] = False
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> Iterator[Problem]:
        """Every double needs a step, and there are enough points for maxTrialCount (Katib's rules)."""
        for index, dimension in enumerate(space.dimensions):
            if dimension.points is None:
                path = f"spec.parameters[{index}].feasibleSpace.step"
                yield Problem(path, "is missing; a grid needs it to count the values of a double")
        if space.size is None:
            return
        if not (space.plain or space.enumerable):
            words = f"leave at most {space.size} points, too many to be counted out; must be at most {ENUMERABLE}"
            yield Problem("spec.parameters", words)
        if max_trials > space.size:
            words = f"is {max_trials}; must not exceed the {space.size} points of the grid"
            yield Problem("spec.maxTrialCount", words)

    def suggest(self, request: Request) -> list[Proposal]:
        """The next points; raises SearchEnded once all have been proposed."""
        distinct = Distinct(request)
        fresh = (point for point in _points(request) if distinct.take(point))
        found = [Proposal(request.space.texts(point)) for point in islice(fresh, request.count)]
        if not found:
            raise SearchEnded(f"all {request.space.size} points of the grid have been proposed")
        return found


def _points(request: Request) -> Iterator[Floats]:
    """What the user wants tried first, and then the shuffled grid; those before were proposed for sure."""
    yield from request.initial
    size = request.space.size or 0
    for index in range(max(0, request.asked - len(request.initial)), size):
        yield request.space.point_at(permuted(index, size, str(request.seed)))
