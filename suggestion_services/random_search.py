"""Random search: every assignment drawn from the declared distributions (Bergstra & Bengio, JMLR 2012)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from katib_py.core.errors import Problem
from suggestion_services.contract import Proposal, Request, random_state
from suggestion_services.distinct import Distinct, draws
from suggestion_services.space import Space

__all__ = ["RandomSearch", "draws"]


@dataclass(frozen=True, slots=True)
class RandomSearch:
    """Assignment number n depends on the seed and n alone, unless it would repeat another."""

    random_state: int | None = random_state()

    learns: ClassVar[bool] = False
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Every space suits."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted."""
        distinct = Distinct(request)
        found = []
        for index in range(request.asked, request.asked + request.count):
            generator = request.generator(index)
            found.append(distinct.first_new(draws(request.space, generator), generator))
        return [Proposal(request.space.texts(point)) for point in found]
