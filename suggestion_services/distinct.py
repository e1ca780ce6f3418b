"""Points that no trial has and that the space allows: while there are unused points, nothing is proposed twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import Request, SearchEnded, Used
from suggestion_services.space import Space

TRIES: Final = 32
ROUNDING: Final = 1e-9


class Distinct:
    """Chooses points for one reply, distinct from each other and from every trial's.

    `meeting`: candidates may meet where two draws of continuous parameters never do, since they were looked for or
    clipped. Where the space has conditions or constraints, what it gives back is canonical and feasible, whatever it is
    offered.
    """

    def __init__(self, request: Request, meeting: bool = False) -> None:
        self._space = request.space
        # Two draws never meet, unless conditions leave only countable parameters active.
        repeatable = meeting or request.space.size is not None or not request.space.plain or bool(request.initial)
        self._used: Used | None = request.history.used() if repeatable else None
        self._own: set[bytes] = set()
        self._initial = deque(self._untried(request.initial))

    def first_new(self, candidates: Iterable[Floats], generator: np.random.Generator) -> Floats:
        """The first candidate that is new; else any unused point; else, in an exhausted space, the last candidate.

        `candidates` is not empty; an endless one is given up after some tries. What the user wants tried first comes
        before any of them.
        """
        while self._initial:
            if self.take(first := self._initial.popleft()):
                return first
        point: Floats | None = None
        tried = islice(candidates, TRIES)
        for candidate in tried if self._space.plain else self._allowed(tried, generator):
            point = candidate
            if self._take(candidate):
                return candidate
        unused = self._any_unused(generator)
        if unused is not None:
            self._take(unused)
            return unused
        assert point is not None
        return point if self._space.size is not None else self._of_continuum(generator, point)

    def _of_continuum(self, generator: np.random.Generator, last: Floats) -> Floats:
        """A random point: candidates that are all taken lie on the edge of the space, where clipped ones meet."""
        return next(filter(self._take, islice(draws(self._space, generator), TRIES)), last)

    def take(self, point: Floats) -> bool:
        """Whether the point was new and is allowed; it is new no more."""
        if self._space.plain:
            return self._take(point)
        rows = self._space.canonical(point[None])
        return bool(self._space.feasible(rows)[0]) and self._take(rows[0])

    def _untried(self, initial: Sequence[Floats]) -> Iterator[Floats]:
        """Those that no trial has; a value that was written as text and read again may be another by a rounding."""
        if not initial or self._used is None:
            return
        left = [point for point in initial if point.tobytes() not in self._used]
        used = self._used.points(len(self._space.dimensions)) if left else np.empty(0)
        for point in left:
            if not np.any(np.all(np.abs(used - point) <= ROUNDING, axis=1)):
                yield point

    def _take(self, point: Floats) -> bool:
        if self._used is None:
            return True
        row = self._row(point)
        if row in self._own or row in self._used:
            return False
        self._own.add(row)
        return True

    def _row(self, point: Floats) -> bytes:
        """The point as its trial will be read: of a continuum the text rounds."""
        if self._space.size is None:
            [point] = self._space.coordinates([self._space.read(dict(self._space.texts(point)))])
        return point.tobytes()

    def _allowed(self, candidates: Iterable[Floats], generator: np.random.Generator) -> Iterator[Floats]:
        """The candidates that satisfy every constraint, then one near the first that does, then random ones."""
        first: Floats | None = None
        for candidate in candidates:
            point = self._space.canonical(candidate[None])
            if self._space.feasible(point)[0]:
                yield point[0]
            elif first is None:
                first = point[0]
        if first is not None:
            repaired = self._space.repaired(first, generator)
            if self._space.feasible(repaired[None])[0]:
                yield repaired
        yield from islice(draws(self._space, generator), TRIES)

    def _any_unused(self, generator: np.random.Generator) -> Floats | None:
        size = self._space.size
        if self._used is None or size is None or not self._space.enumerable:
            return None
        free = np.ones(size, dtype=bool)
        width = len(self._space.dimensions)
        own = np.frombuffer(b"".join(self._own)).reshape(-1, width)
        for points in (self._used.points(width), own):
            numbers = self._space.numbers_of(points)
            free[numbers[~np.isnan(numbers)].astype(np.int64)] = False
        unused = np.flatnonzero(free)
        return self._space.point_at(int(generator.choice(unused))) if len(unused) else None


def draws(space: Space, generator: np.random.Generator) -> Iterator[Floats]:
    """Endless random points that the space allows; raises SearchEnded where none is found."""
    while space.plain:
        yield space.from_unit(generator.random((1, len(space.dimensions))))[0]
    for batch in space.feasible_draws(generator):
        yield from batch
    raise SearchEnded("no assignment was found that satisfies every one of parameterConstraints")
