"""Hyperband: successive halving from several starts (Li et al., JMLR 2018)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import ClassVar, Final

from suggestion_services.contract import Bounds, Marked, Proposal, Request, SearchEnded, setting
from suggestion_services.fidelity import Ladder
from suggestion_services.promotion import Promoting
from suggestion_services.rungs import Place, Rungs, Slot

FINISHED: Final = -1  # Katib's current_s after the last bracket


class Bracket:
    """One bracket as it stands: what it wants next, and the rung at which it is."""

    def __init__(self, rungs: Rungs, ladder: Ladder, cycle: int, base: int) -> None:
        self.base, self.sizes = base, ladder.sizes(base)
        self.slots: list[Slot] = []
        self.over = False
        self.rung = 0
        parents: list[Marked] = []
        for self.rung, rung in enumerate(rungs.levels(cycle, base, ladder.top)):
            place = Place(cycle, base, base + self.rung)
            if self.rung == 0:
                self.slots = [Slot(place)] * (self.sizes[0] - rung.filled(self.sizes[0]))
            else:
                self.slots = [Slot(place, parent) for parent in parents if not rung.continues(parent.name)]
            # Who goes on is known when the whole rung has ended.
            if self.slots or rung.active:
                return
            parents = rung.ranked()[: self.sizes[self.rung + 1]] if self.rung + 1 < len(self.sizes) else []
            if not parents:
                break
        self.over = True


@dataclass(frozen=True, slots=True)
class Scheduled(Promoting):
    """Every bracket of the schedule; brackets overlap where there is room for more trials than one can use."""

    cycles: int = setting(1, "how often the schedule is run; 0: without end", Bounds(at_least=0))

    def suggest(self, request: Request) -> list[Proposal]:
        """Promotions before new configurations, earlier brackets before later ones; raises SearchEnded."""
        ladder = self.ladder(request.space)
        rungs = self.rungs(request, ladder)
        slots = (slot for bracket in self.brackets(rungs, ladder) for slot in bracket.slots)
        wanted = list(islice(slots, request.count))
        if not wanted and not request.active:
            raise SearchEnded(f"every bracket of {self.name}'s schedule has been run")
        return self.filled(wanted, request, ladder, rungs)

    def brackets(self, rungs: Rungs, ladder: Ladder) -> Iterator[Bracket]:
        """The brackets in their order, finished ones too."""
        for cycle in range(self.cycles) if self.cycles else count():
            for base in range(ladder.top + 1):
                yield Bracket(rungs, ladder, cycle, base)


@dataclass(frozen=True, slots=True)
class Hyperband(Scheduled):
    """New configurations are random."""

    # Katib's takes any, its own bookkeeping of an older experiment among them.
    ignores_unknown_settings: ClassVar[bool] = True
    name: ClassVar[str] = "hyperband"

    def bookkeeping(self, request: Request) -> list[tuple[str, str]]:
        """What Katib's service writes into Suggestion.status: its settings and how far the schedule is."""
        ladder = self.ladder(request.space)
        brackets = self.brackets(self.rungs(request, ladder), ladder)
        most = float(ladder.amounts[-1])
        written: dict[str, float | str] = {
            "r_l": most,
            "eta": self.eta,
            "s_max": ladder.top,
            "b_l": (ladder.top + 1) * most,
            "resource_name": self.resource_name,
            "current_s": FINISHED,
        }
        bracket = next((item for item in brackets if not item.over), None)
        if bracket is not None:
            written |= {
                "n": bracket.sizes[0],
                "r": float(ladder.amounts[bracket.base]),
                "current_s": ladder.top - bracket.base,
                "current_i": bracket.rung,
                "evaluating_trials": bracket.sizes[bracket.rung],
            }
        return [(name, str(value)) for name, value in written.items()]
