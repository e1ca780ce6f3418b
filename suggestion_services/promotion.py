"""Searches whose trials go on from rung to rung: what hyperband, asha and bohb have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from suggestion_services.configurations import Configuration, configuration_of, narrowed
from suggestion_services.contract import Proposal, Request
from suggestion_services.fidelity import Ladder, MultiFidelity, stable
from suggestion_services.random_search import RandomSearch
from suggestion_services.rungs import Labels, Rungs, Slot


@dataclass(frozen=True, slots=True)
class Promoting(MultiFidelity):
    """A multi-fidelity search that fills places in rungs, by trials that go on and by new configurations."""

    name: ClassVar[str] = ""
    scheduled: ClassVar[bool] = True

    def labels(self, ladder: Ladder) -> Labels:
        """The keys of this search's labels."""
        return Labels(self.name, ladder.top, self.scheduled)

    def rungs(self, request: Request, ladder: Ladder) -> Rungs:
        """The request's trials at their places."""
        return Rungs(request.history.marked(), ladder, self.labels(ladder))

    def filled(self, slots: Sequence[Slot], request: Request, ladder: Ladder, rungs: Rungs) -> list[Proposal]:
        """A proposal for each of the slots."""
        labels, inner = self.labels(ladder), narrowed(request, ladder)
        news = iter(self.new(sum(slot.parent is None for slot in slots), request, ladder, rungs))
        found = []
        for place, parent in slots:
            values = next(news) if parent is None else configuration_of(parent, inner, ladder)
            marks = labels.write(place, "" if parent is None else parent.name)
            found.append(Proposal(ladder.values(stable(inner.space, values), place.level), marks))
        return found

    def new(self, count: int, request: Request, ladder: Ladder, rungs: Rungs) -> Sequence[Configuration]:
        """So many configurations that no trial has: here, draws of the declared distributions."""
        inner = replace(narrowed(request, ladder), count=count)
        return [proposal.parameters for proposal in RandomSearch().suggest(inner)]
