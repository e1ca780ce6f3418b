"""Tree-structured Parzen estimators (Bergstra et al., NeurIPS 2011; joint: Falkner et al., ICML 2018).

Of several objectives the first fronts are the good trials (Ozaki et al., GECCO 2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from katib_py.core.errors import Problem
from katib_py.core.extensions import OBJECTIVES, OUTCOMES, WARM_START
from suggestion_services.arrays import Floats
from suggestion_services.contract import (
    ACTIVE,
    EARLY_STOPPED,
    FAILED,
    METRICS_UNAVAILABLE,
    SUCCEEDED,
    Bounds,
    Proposal,
    Request,
    Trials,
    random_state,
    setting,
)
from suggestion_services.distinct import Distinct, draws
from suggestion_services.parzen import Estimator, kernels_of
from suggestion_services.ranking import best_by_volume, measured, plainly_judged
from suggestion_services.space import Space

MOST_GOOD: Final = 25
FRESH: Final = 25
# The best of many draws from a few categories is always the same one: a search that compared more than this would not
# leave the category that happened to do well at first.
CHOICES_COMPARED: Final = 2
# The share of a candidate's categories that are drawn anew.
SWITCHED: Final = 0.15
# One assignment in so many goes on with the even start: a basin that the model has no point in is found by no model.
EVEN_EVERY: Final = 8
# Where constraints reject candidates, so many rounds of them are drawn at most.
ROUNDS: Final = 8
# Keeps the randomness of the start apart from that of single assignments.
LATIN: Final = 1


@dataclass(frozen=True, slots=True)
class Tpe:
    """Every parameter modelled on its own."""

    gamma: float = setting(0.1, "share of the trials that count as good", Bounds(above=0, below=1))
    prior_weight: float = setting(1.0, "weight of the declared distribution, in trials", Bounds(above=0))
    n_ei_candidates: int = setting(24, "points compared for each suggestion", Bounds(at_least=0), ("n_EI_candidates",))
    n_startup_trials: int = setting(10, "trials with a result before the model is used", Bounds(at_least=0))
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    understands: ClassVar[frozenset[str]] = frozenset({OBJECTIVES, OUTCOMES, WARM_START})
    ignores_unknown_settings: ClassVar[bool] = False
    joint: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Every space suits."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted; each is pending when the next is chosen."""
        distinct = Distinct(request)
        good, bad = _split(request.trials, self.gamma)
        started = measured(request.trials).sum() >= max(self.n_startup_trials, 1)
        below = self._estimator(request.space, good, _good_weights(len(good)))
        found: list[Floats] = []
        for index in range(request.asked, request.asked + request.count):
            generator = request.generator(index)
            if started and (index + 1) % EVEN_EVERY:
                rest = np.concatenate((bad, *(point[None] for point in found)))
                above = self._estimator(request.space, rest, _weights(len(rest)))
                candidates = self._candidates(request.space, below, above, generator)
            else:
                candidates = self._start(request, index, generator)
            found.append(distinct.first_new(candidates, generator))
        return [Proposal(request.space.texts(point)) for point in found]

    def _start(self, request: Request, index: int, generator: np.random.Generator) -> Iterator[Floats]:
        """A cell of a Latin hypercube, so that the first trials already see every part of every parameter."""
        turn, place = divmod(index, max(self.n_startup_trials, 1))
        width = len(request.space.dimensions)
        order = np.random.default_rng((request.seed, turn, LATIN)).random((max(self.n_startup_trials, 1), width))
        cell = np.argsort(order, axis=0)[place]
        yield request.space.from_unit((cell + generator.random((1, width))) / len(order))[0]
        yield from draws(request.space, generator)

    def _estimator(self, space: Space, points: Floats, weights: Floats) -> Estimator:
        if not space.region.conditional:
            kernels = [
                kernels_of(dimension, points[:, place], self.prior_weight)
                for place, dimension in enumerate(space.dimensions)
            ]
            return Estimator(kernels, weights, self.prior_weight)
        active = space.active(points)
        kernels = [
            kernels_of(dimension, points[:, place], self.prior_weight, active[:, place])
            for place, dimension in enumerate(space.dimensions)
        ]
        return Estimator(kernels, weights, self.prior_weight, active)

    def _candidates(
        self, space: Space, below: Estimator, above: Estimator, generator: np.random.Generator
    ) -> Iterator[Floats]:
        while True:
            yield from self._best_first(space, below, above, generator)

    def _best_first(self, space: Space, below: Estimator, above: Estimator, generator: np.random.Generator) -> Floats:
        """A round of candidates by the ratio of the densities, greatest first."""
        count = max(self.n_ei_candidates, 1)
        if not space.plain and (self.joint or space.region.constraints):
            return self._best_allowed(space, below, above, generator)
        if self.joint:
            points = _switched(below.sample(count, generator), space, generator)
            return points[np.argsort(above.log_density(points) - below.log_density(points), kind="stable")]
        points = below.sample_apart(count, generator)
        losses = above.log_densities(points) - below.log_densities(points)
        losses[CHOICES_COMPARED:, below.unordered] = np.inf
        return np.take_along_axis(points, np.argsort(losses, axis=0, kind="stable"), axis=0)

    def _best_allowed(self, space: Space, below: Estimator, above: Estimator, generator: np.random.Generator) -> Floats:
        """A round of candidates that satisfy the constraints; only whole points can be told to."""
        count, found = max(self.n_ei_candidates, 1), list[Floats]()
        for _ in range(ROUNDS):
            if self.joint:
                points = _switched(below.sample(count, generator), space, generator)
            else:
                points = below.sample_apart(4 * count, generator)
            points = space.canonical(points)
            found.append(points[space.feasible(points)])
            if sum(map(len, found)) >= count:
                break
        points = np.concatenate(found) if any(map(len, found)) else points
        active = space.active(points)
        if self.joint:
            losses = above.log_density(points, active) - below.log_density(points, active)
        else:
            losses = ((above.log_densities(points) - below.log_densities(points)) * active).sum(axis=1)
        return points[np.argsort(losses, kind="stable")]


@dataclass(frozen=True, slots=True)
class MultivariateTpe(Tpe):
    """All parameters modelled together."""

    joint: ClassVar[bool] = True


def _split(trials: Trials, gamma: float) -> tuple[Floats, Floats]:
    """The good points, the best first, and all others.

    A trial that was stopped early showed less than it has, so it is good only where finished ones are lacking. Failed,
    metric-less and active trials are never good: a failure is to be avoided, a pending point to be kept away from.
    Of several objectives the fronts are good, and of constrained ones first what keeps to the constraints.
    """
    counted = trials.where(SUCCEEDED, EARLY_STOPPED, FAILED, METRICS_UNAVAILABLE, *ACTIVE)
    known = measured(counted)
    count = min(math.ceil(gamma * known.sum()), MOST_GOOD)
    if plainly_judged(counted):
        good = np.lexsort((counted.losses, counted.states == EARLY_STOPPED, ~known))[:count]
    else:
        good = best_by_volume(counted, count)
    return counted.points[good], np.delete(counted.points, good, axis=0)


def _switched(points: Floats, space: Space, generator: np.random.Generator) -> Floats:
    """The points with some of their unordered values drawn anew: few good points mean few categories among them."""
    for place, dimension in enumerate(space.dimensions):
        if not dimension.ordered:
            drawn = dimension.from_unit(generator.random(len(points)))
            points[:, place] = np.where(generator.random(len(points)) < SWITCHED, drawn, points[:, place])
    return points


def _good_weights(count: int) -> Floats:
    """The better, the more; on average 1. The weights by rank of CMA-ES (Hansen 2016)."""
    weights: Floats = np.log(count + 1) - np.log(np.arange(1, count + 1))
    return weights / weights.mean() if count else weights


def _weights(count: int) -> Floats:
    """The newest count fully, older ones less and less."""
    if count <= FRESH:
        return np.ones(count)
    return np.concatenate((np.linspace(1 / count, 1.0, count - FRESH), np.ones(FRESH)))
