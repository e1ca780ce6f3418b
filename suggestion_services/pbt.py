"""Population based training (Jaderberg et al., 2017): the worst go on from the weights of the best."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from typing import ClassVar, Final

import numpy as np

from katib_py.core.errors import Problem
from suggestion_services.arrays import Floats
from suggestion_services.contract import Bounds, Marked, Proposal, Request, SearchEnded, random_state, setting, text
from suggestion_services.fidelity import stable
from suggestion_services.population import Population, Post, labels_of
from suggestion_services.random_search import RandomSearch
from suggestion_services.space import Dimension, RangeDimension, Space

FACTORS: Final = (0.8, 1.2)  # Jaderberg et al., appendix A
# A continuous value that a factor leaves where it is, 0 or one at a bound, moves by this share of its scale.
NUDGE: Final = 0.02
SHARE: Final = Bounds(at_least=0, at_most=1)
# How often a value without order changes: in mid-training most changes of kind do harm.
SWITCHED: Final = 0.25


@dataclass(frozen=True, slots=True)
class Pbt:
    """Each member trains on in every generation: from its own checkpoint, or the worst from one of the best.

    Who takes another's checkpoint takes its values too, and perturbs them; all others keep theirs.
    """

    n_population: int = setting(20, "members that are trained", Bounds(at_least=5))
    truncation_threshold: float = setting(0.2, "share that gives way, and share that is followed", SHARE)
    resample_probability: float | None = setting(
        None, "how often a value is drawn anew instead of being perturbed", SHARE
    )
    suggestion_trial_dir: str = text("", "where the program looks for the checkpoint of its trial")
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    # Katib's takes any.
    ignores_unknown_settings: ClassVar[bool] = True

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Every space suits."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """Who may go on, earlier generations first; raises SearchEnded when nobody is left to follow."""
        population = Population(request.history.marked(), self.n_population)
        ranked = cache(partial(_followed, population))
        able = (post for post in population.vacancies() if post.generation == 0 or ranked(post.generation - 1))
        posts = list(islice(able, request.count))
        if not posts and not request.active:
            raise SearchEnded("no member of the population has a result to go on from")
        firsts = replace(request, count=sum(post.generation == 0 for post in posts))
        news = iter(RandomSearch().suggest(firsts))
        found = []
        for index, post in enumerate(posts):
            if post.generation == 0:
                found.append(Proposal(stable(request.space, next(news).parameters), labels_of(post, "")))
            else:
                generator = request.generator(request.asked + index)
                found.append(self._next(post, ranked(post.generation - 1), request.space, generator))
        return found

    def _next(self, post: Post, ranked: dict[int, Marked], space: Space, generator: np.random.Generator) -> Proposal:
        """The member's own way on, or that of one of the best."""
        trials = list(ranked.values())
        share = min(max(1, round(self.truncation_threshold * len(trials))), len(trials) // 2)
        stays = list(ranked)[: len(trials) - share if self.truncation_threshold else None]
        if post.member in stays:
            parent, point = ranked[post.member], ranked[post.member].point
        else:
            parent = trials[generator.integers(max(1, share))]
            point = self._explored(parent.point, space, generator)
        return Proposal(stable(space, space.texts(point)), labels_of(post, parent.name))

    def _explored(self, point: Floats, space: Space, generator: np.random.Generator) -> Floats:
        found = point.copy()
        for place, dimension in enumerate(space.dimensions):
            if generator.random() < (self.resample_probability or 0):
                found[place] = dimension.from_unit(generator.random(1))[0]
            else:
                found[place] = perturbed(dimension, point[place], generator)
        return found


def perturbed(dimension: Dimension, coordinate: float, generator: np.random.Generator) -> float:
    """A value near this one, and another one wherever there is another: on the step grid, within the bounds."""
    if not dimension.ordered:
        others = [value for value in range(dimension.points or 1) if value != coordinate]
        return float(generator.choice(others)) if others and generator.random() < SWITCHED else coordinate
    factors = FACTORS if generator.random() < 0.5 else FACTORS[::-1]
    for candidate in _moves(dimension, coordinate, factors):
        if candidate != coordinate:
            return candidate
    return coordinate


def _moves(dimension: Dimension, coordinate: float, factors: tuple[float, ...]) -> Iterator[float]:
    if isinstance(dimension, RangeDimension):
        value = float(dimension.text(coordinate))
        yield from dimension.coordinates(np.array([value * factor for factor in factors])).tolist()
    step, last = (NUDGE, 1.0) if dimension.points is None else (1.0, dimension.points - 1.0)
    for factor in factors:
        yield min(max(coordinate + (step if factor > 1 else -step), 0.0), last)


def _followed(population: Population, generation: int) -> dict[int, Marked]:
    """Who is followed after a generation; where all of it failed, that is who was before it."""
    return population.ranked(generation) or population.ranked(generation - 1)
