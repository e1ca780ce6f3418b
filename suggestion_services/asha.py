"""Asynchronous successive halving (Li et al., MLSys 2020): nobody waits for a rung to be full."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from suggestion_services.contract import Bounds, Proposal, Request, setting, word
from suggestion_services.fidelity import Ladder
from suggestion_services.promotion import Promoting
from suggestion_services.rungs import Place, Rungs, Slot

PROMOTION, STOPPING = "promotion", "stopping"


@dataclass(frozen=True, slots=True)
class Asha(Promoting):
    """A trial goes on as soon as it is among the best 1/eta of what has ended on its rung; else something new begins.

    The stopping variant starts every trial with all of the resource, for an early stopper to end at the rungs.
    """

    brackets: int = setting(1, "starts: of the least resource, of eta times as much, ...", Bounds(at_least=1))
    type: str = word(PROMOTION, "whether trials go on as new trials, or are stopped early", (PROMOTION, STOPPING))

    name: ClassVar[str] = "asha"
    scheduled: ClassVar[bool] = False

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted: the highest promotions first, then new configurations."""
        ladder = self.ladder(request.space)
        rungs = self.rungs(request, ladder)
        slots: list[Slot] = []
        if self.type == PROMOTION:
            slots.extend(islice(self._promotions(rungs, ladder), request.count))
        slots.extend(islice(self._starts(rungs, ladder), request.count - len(slots)))
        return self.filled(slots, request, ladder, rungs)

    def _promotions(self, rungs: Rungs, ladder: Ladder) -> Iterator[Slot]:
        """Whoever may go on and has not, the highest first."""
        for level in range(ladder.top - 1, -1, -1):
            for base in self._bases(ladder):
                rung, above = rungs.at(Place(0, base, level)), Place(0, base, level + 1)
                best = rung.ranked()[: math.floor(rung.finished / ladder.eta)]
                yield from (Slot(above, parent) for parent in best if not rungs.at(above).continues(parent.name))

    def _starts(self, rungs: Rungs, ladder: Ladder) -> Iterator[Slot]:
        """New configurations without end, shared out to the brackets as Hyperband does."""
        bases = self._bases(ladder)
        shares = [ladder.sizes(base)[0] for base in bases]
        begun = [len(rungs.at(Place(0, base, base)).trials) for base in bases]
        while True:
            fewest = min(range(len(bases)), key=lambda number: ((begun[number] + 1) / shares[number], number))
            begun[fewest] += 1
            yield Slot(Place(0, bases[fewest], bases[fewest]))

    def _bases(self, ladder: Ladder) -> range:
        """The levels at which trials begin."""
        if self.type == STOPPING:
            return range(ladder.top, ladder.top + 1)
        return range(min(self.brackets, ladder.top + 1))
