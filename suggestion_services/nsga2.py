"""NSGA-II, a genetic search over several objectives (Deb et al., IEEE TEC 2002), without generations.

The parents are the best of all finished trials by front and crowding, so that nothing has to be remembered and any
number of trials may run at once. Children come from simulated binary crossover and polynomial mutation on the scales
of ordered parameters (Deb & Agrawal 1995), and by inheritance and redrawing of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress
from typing import ClassVar, Final

import numpy as np

from katib_py.core.errors import Problem
from katib_py.core.extensions import OBJECTIVES, OUTCOMES, WARM_START
from suggestion_services.arrays import Floats
from suggestion_services.contract import PRIOR, Bounds, Proposal, Request, random_state, setting
from suggestion_services.distinct import Distinct, draws
from suggestion_services.ranking import best_by_crowding, measured
from suggestion_services.space import Space

SHARE: Final = Bounds(at_least=0, at_most=1)


@dataclass(frozen=True, slots=True)
class Nsga2:
    """One objective or several; failed trials have no children, and early stopped ones count with what they showed."""

    population_size: int = setting(40, "trials that may have children", Bounds(at_least=2))
    crossover_probability: float = setting(0.9, "share of children that have two parents", SHARE)
    mutation_probability: float | None = setting(None, "of each parameter; by default 1/parameters", SHARE)
    crossover_eta: float = setting(10.0, "the larger, the nearer children are to their parents", Bounds(above=0))
    mutation_eta: float = setting(20.0, "the larger, the smaller mutations are", Bounds(above=0))
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    understands: ClassVar[frozenset[str]] = frozenset({OBJECTIVES, OUTCOMES, WARM_START})
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Every space suits."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted; random ones until there are parents enough, trials of earlier experiments among them."""
        space, distinct = request.space, Distinct(request, meeting=True)
        parents = np.empty((0, len(space.dimensions)))
        known = measured(request.trials)
        start = self.population_size - sum(labels is PRIOR for labels in compress(request.labels, known))
        if request.asked + request.count > start and known.sum() >= 2:
            best = best_by_crowding(request.trials, self.population_size)
            parents = space.positions(request.trials.points[best])
        found = []
        for index in range(request.asked, request.asked + request.count):
            generator = request.generator(index)
            ready = len(parents) and index >= start
            candidates = self._children(space, parents, generator) if ready else draws(space, generator)
            found.append(Proposal(space.texts(distinct.first_new(candidates, generator))))
        return found

    def _children(self, space: Space, parents: Floats, generator: np.random.Generator) -> Iterator[Floats]:
        while True:
            child = self._mutated(space, self._crossed(space, parents, generator), generator)
            yield space.at_positions(child[None])[0]

    def _crossed(self, space: Space, parents: Floats, generator: np.random.Generator) -> Floats:
        """A child of two winners of tournaments; the parents stand best first, so the lower number wins."""
        winners = np.min(generator.integers(len(parents), size=(2, 2)), axis=1)
        first: Floats = parents[winners[0]]
        second: Floats = parents[winners[1]]
        if generator.random() >= self.crossover_probability:
            return first
        ordered = np.array([dimension.ordered for dimension in space.dimensions])
        quantile = generator.random(len(ordered))
        power = 1 / (self.crossover_eta + 1)
        spread = np.where(quantile < 0.5, (2 * quantile) ** power, (2 * (1 - quantile)) ** -power)
        side = np.where(generator.random(len(ordered)) < 0.5, 1.0, -1.0)
        between = np.clip((first + second + side * spread * (first - second)) / 2, 0, 1)
        inherited = np.where(side > 0, first, second)
        # Half of the parameters are inherited whole, as in the published operator.
        return np.where(ordered & (generator.random(len(ordered)) < 0.5), between, inherited)

    def _mutated(self, space: Space, child: Floats, generator: np.random.Generator) -> Floats:
        ordered = np.array([dimension.ordered for dimension in space.dimensions])
        chance = 1 / len(ordered) if self.mutation_probability is None else self.mutation_probability
        quantile, power = generator.random(len(ordered)), 1 / (self.mutation_eta + 1)
        down = (2 * quantile + (1 - 2 * quantile) * (1 - child) ** (self.mutation_eta + 1)) ** power - 1
        up = 1 - (2 * (1 - quantile) + (2 * quantile - 1) * child ** (self.mutation_eta + 1)) ** power
        moved = np.where(ordered, child + np.where(quantile < 0.5, down, up), generator.random(len(ordered)))
        return np.where(generator.random(len(ordered)) < chance, np.clip(moved, 0, 1), child)
