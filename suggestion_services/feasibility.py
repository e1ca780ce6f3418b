"""Whether the constraints of a space leave something to search."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from katib_py.core.errors import Problem, listed, show
from suggestion_services.arrays import Booleans
from suggestion_services.space import Space

PATH: Final = "spec.parameterConstraints"
BATCH: Final = 1 << 14
BATCHES: Final = 16


def feasibility_problems(space: Space) -> Iterator[Problem]:
    """The constraints rule out everything, or all but what chance does not find."""
    if not space.region.constraints:
        return
    if space.enumerable:
        if not space.size:
            yield Problem(PATH, f"are satisfied by no assignment at all{_culprits(space, _drawn(space, 1))}")
        return
    tried = _drawn(space, BATCHES)
    if not tried.all(axis=1).any():
        words = f"are satisfied by none of {len(tried):,} random assignments{_culprits(space, tried)}"
        yield Problem(PATH, f"{words}; widen them, or give equal parameters steps or one name")


def _drawn(space: Space, batches: int) -> Booleans:
    """Random points by constraints: which satisfies which; no more batches than it takes to find one for all."""
    generator, found = np.random.default_rng(0), []
    for _ in range(batches):
        points = space.from_unit(generator.random((BATCH, len(space.dimensions))))
        each = [space.region.satisfied(points, (constraint,)) for constraint in space.region.constraints]
        found.append(np.stack(each, axis=1))
        if found[-1].all(axis=1).any():
            break
    return np.concatenate(found)


def _culprits(space: Space, tried: Booleans) -> str:
    """The constraints that no point satisfied by itself."""
    impossible = np.flatnonzero(~np.any(tried, axis=0))
    texts = [show(space.region.constraints[place].text) for place in impossible]
    return f", {listed(texts)} alone by none" if texts else ""
