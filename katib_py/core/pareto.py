"""The Pareto front: the trials that no other trial betters in every objective."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

Losses = tuple[float, ...]


def dominates(one: Losses, other: Losses) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better; smaller is better."""
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))


@dataclass(slots=True)
class Front:
    """The trials that are not dominated, by name, in order of finishing."""

    members: dict[str, Losses] = field(default_factory=dict)

    def add(self, name: str, losses: Losses) -> bool:
        """Whether the trial is on the front now; those that it dominates leave. Of equal ones the earlier stays."""
        if any(dominates(held, losses) or held == losses for held in self.members.values()):
            return False
        for beaten in [other for other, held in self.members.items() if dominates(losses, held)]:
            del self.members[beaten]
        self.members[name] = losses
        return True

    def names(self, most: int) -> list[str]:
        """The members by their first objective, best first; of too many those that stand furthest apart."""
        kept = list(self.members)
        if len(kept) > most:
            apart = crowding([self.members[name] for name in kept])
            widest = sorted(range(len(kept)), key=lambda index: -apart[index])[:most]
            kept = [kept[index] for index in widest]
        return sorted(kept, key=lambda name: self.members[name])


def crowding(points: Sequence[Losses]) -> list[float]:
    """How far each point's neighbours are apart, over all objectives (Deb et al. 2002); the ends' infinitely far."""
    found = [0.0] * len(points)
    for place in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda index: points[index][place])
        found[order[0]] = found[order[-1]] = math.inf
        span = points[order[-1]][place] - points[order[0]][place]
        if not 0 < span < math.inf:
            continue
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            found[at] += (points[after][place] - points[before][place]) / span
    return found
