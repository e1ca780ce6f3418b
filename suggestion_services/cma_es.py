"""Covariance matrix adaptation evolution strategy with restarts (Hansen 2016; IPOP: Auger & Hansen, CEC 2005)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from katib_py.core.errors import Problem
from suggestion_services.arrays import Floats
from suggestion_services.contract import Bounds, Proposal, Request, random_state, setting, word
from suggestion_services.distinct import Distinct
from suggestion_services.evolution import Plan, State, plan_of, replay
from suggestion_services.mixed import Layout
from suggestion_services.random_search import draws
from suggestion_services.space import RangeDimension, Space

DEVIATION: Final = 1 / 6  # of the range, as Katib's
# Draws of the distribution before a countable space that is nearly used up is drawn from evenly.
TRIES: Final = 16


@dataclass(frozen=True, slots=True)
class CmaEs:
    """A normal distribution that moves and turns towards the better trials; categories follow by their shares."""

    restart_strategy: str = word(
        "ipop", "what follows once the search has converged", ("ipop", "bipop", "none", "None")
    )
    sigma: float | None = setting(
        None,
        "deviation of the first trials, in units of the parameters; by default a sixth of each range, as for 0",
        Bounds(at_least=0),
    )
    population_size: int | None = setting(
        None, "trials of a generation; by default 4 + 3 ln(dimensions)", Bounds(at_least=2), ("popsize",)
    )
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    ignores_unknown_settings: ClassVar[bool] = True

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Every space suits."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted, all of the present generation."""
        plan = plan_of(request, self._deviations(request.space), self.population_size, self._strategy)
        state = replay(plan, request)
        distinct = Distinct(request, meeting=True)
        found = []
        for number in range(request.asked, request.asked + request.count):
            generator = plan.generator(number)
            point = distinct.first_new(_candidates(plan, state, generator), generator)
            found.append(Proposal(request.space.texts(point), state.labels(number)))
        return found

    @property
    def _strategy(self) -> str:
        return self.restart_strategy.lower()

    def _deviations(self, space: Space) -> Floats:
        ordered = [space.dimensions[place] for place in Layout(space).ordered]
        if not self.sigma:
            return np.full(len(ordered), DEVIATION)
        widths = [item.width if isinstance(item, RangeDimension) else float(item.points - 1) for item in ordered]
        return np.minimum(self.sigma / np.array(widths), 1.0)


def _candidates(plan: Plan, state: State, generator: np.random.Generator) -> Iterator[Floats]:
    for _ in range(TRIES):
        yield plan.layout.point(*state.mixed.sample(generator))
    yield from draws(plan.layout.space, generator)
