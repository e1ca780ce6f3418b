"""Points that no trial has: while the space has unused points, nothing is proposed twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import Request, Used

# A space of up to this many points is counted out when drawing finds nothing new.
ENUMERABLE: Final = 1 << 20
TRIES: Final = 32


class Distinct:
    """Chooses points for one reply, distinct from each other and from every trial's."""

    def __init__(self, request: Request) -> None:
        self._space = request.space
        # Two draws from a continuous parameter never meet.
        self._used: Used | None = request.history.used() if request.space.size is not None else None
        self._own: set[bytes] = set()

    def first_new(self, candidates: Iterable[Floats], generator: np.random.Generator) -> Floats:
        """The first candidate that is new; else any unused point; else, in an exhausted space, the last candidate.

        `candidates` is not empty; an endless one is given up after some tries.
        """
        point: Floats | None = None
        for _, candidate in zip(range(TRIES), candidates, strict=False):
            point = candidate
            if self.take(candidate):
                return candidate
        unused = self._any_unused(generator)
        if unused is not None:
            self.take(unused)
            return unused
        assert point is not None
        return point

    def take(self, point: Floats) -> bool:
        """Whether the point was new; it is not any more."""
        if self._used is None:
            return True
        row = point.tobytes()
        if row in self._own or row in self._used:
            return False
        self._own.add(row)
        return True

    def _any_unused(self, generator: np.random.Generator) -> Floats | None:
        size = self._space.size
        if self._used is None or size is None or size > ENUMERABLE:
            return None
        free = np.ones(size, dtype=bool)
        width = len(self._space.dimensions)
        own = np.frombuffer(b"".join(self._own)).reshape(-1, width)
        for points in (self._used.points(width), own):
            free[self._space.numbers_of(points).astype(np.int64)] = False
        numbers = np.flatnonzero(free)
        return self._space.point_at(int(generator.choice(numbers))) if len(numbers) else None
