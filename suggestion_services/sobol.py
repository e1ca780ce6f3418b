"""Quasi-random search: a scrambled Sobol' sequence (Joe & Kuo 2008; Matousek 1998), which covers the space evenly."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import ClassVar, Final

import numpy as np
from scipy.stats import qmc

from katib_py.core.errors import Problem
from suggestion_services.arrays import Floats
from suggestion_services.contract import Proposal, Request, random_state, setting
from suggestion_services.distinct import Distinct
from suggestion_services.space import Space

MOST_DIMENSIONS: Final = qmc.Sobol.MAXDIM
# With conditions or constraints the sequence is looked through from its beginning, in blocks of these sizes.
FIRST_BLOCK: Final = 64
LAST_BLOCK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Sobol:
    """Assignment number n is the point number n of the sequence, so a restart goes on where it was."""

    scramble: bool = setting(
        True, "false: the sequence as it is, without a seed and without its first point, the zeros"
    )
    random_state: int | None = random_state()

    learns: ClassVar[bool] = False
    ignores_unknown_settings: ClassVar[bool] = True

    def problems(self, space: Space, max_trials: int) -> Iterator[Problem]:
        """The sequence has so many dimensions."""
        if len(space.dimensions) > MOST_DIMENSIONS:
            yield Problem("spec.parameters", f"are {len(space.dimensions)}; must be at most {MOST_DIMENSIONS}")

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted. Values that the sequence meets again are passed over while others are left."""
        distinct = Distinct(request)
        sequence = _sequence(request, self._engine(request))
        generator = request.generator(request.asked)
        points = [distinct.first_new(sequence, generator) for _ in range(request.count)]
        return [Proposal(request.space.texts(point)) for point in points]

    def _engine(self, request: Request) -> qmc.Sobol:
        """The sequence at its beginning."""
        dimensions = len(request.space.dimensions)
        if self.scramble:
            return copy.deepcopy(_scrambled(dimensions, request.seed))
        return qmc.Sobol(dimensions, scramble=False).fast_forward(1)


def _sequence(request: Request, engine: qmc.Sobol) -> Iterator[Floats]:
    if not request.space.plain:
        yield from islice(_allowed(request.space, copy.deepcopy(engine)), request.asked, None)
    if request.asked:
        engine.fast_forward(request.asked)
    while True:
        yield request.space.from_unit(engine.random(1))[0]


def _allowed(space: Space, engine: qmc.Sobol) -> Iterator[Floats]:
    """The points of the sequence that the space allows, without repetitions, as far as it is worth looking."""
    seen: set[bytes] = set()
    size = FIRST_BLOCK
    while size <= LAST_BLOCK:
        points = space.from_unit(engine.random(size))
        for point in points[space.feasible(points)]:
            row = point.tobytes()
            if row not in seen:
                seen.add(row)
                yield point
        size *= 2


@lru_cache(64)
def _scrambled(dimensions: int, seed: int) -> qmc.Sobol:
    """The sequence at its beginning; making it costs ten times a copy."""
    return qmc.Sobol(dimensions, scramble=True, rng=np.random.default_rng(seed))
