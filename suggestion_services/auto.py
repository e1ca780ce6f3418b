"""A search that chooses how to search: by the space, the budget, what runs at a time, and what a trial may spend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from katib_py.core.errors import Problem
from katib_py.core.extensions import OBJECTIVES, OUTCOMES, WARM_START
from suggestion_services.asha import Asha
from suggestion_services.bayesian import BayesianOptimization
from suggestion_services.cma_es import CmaEs
from suggestion_services.contract import Algorithm, Proposal, Request
from suggestion_services.fidelity import MultiFidelity
from suggestion_services.pending import Pending
from suggestion_services.space import Space
from suggestion_services.tpe import MultivariateTpe, Tpe

CHOSEN: Final = "auto.suggestion.katib.kubeflow.org/algorithm"
# A Gaussian process makes most of few results. Its proposals take tenths of a second each, which pays while trials are
# fewer than this, and is too long where this many are to be kept busy; nor does it tell much in more dimensions.
MOST_MODELLED: Final = 500
MOST_AT_ONCE: Final = 32
MOST_DIMENSIONS: Final = 50
# Trials of the model's even start; as many come from the evolution.
START: Final = 5


@dataclass(frozen=True, slots=True)
class Auto(MultiFidelity):
    """Each trial's label says which algorithm proposed it.

    With a resource asha; for several objectives, outcome constraints and more than fifty parameters tpe; for few costly
    trials bayesianoptimization and cmaes by turns; else multivariate-tpe.
    """

    @property
    def understands(self) -> frozenset[str]:
        """What the algorithms that may be chosen understand."""
        return frozenset() if self._spends else frozenset({OBJECTIVES, OUTCOMES, WARM_START})

    def problems(self, space: Space, max_trials: int) -> Iterator[Problem]:
        """Every space suits, unless a resource is named that it does not have."""
        if self._spends:
            # super() alone does not know a dataclass with slots, which is made anew.
            yield from MultiFidelity.problems(self, space, max_trials)

    def suggest(self, request: Request) -> list[Proposal]:
        """What the chosen algorithms suggest, each with its name."""
        if self._spends:
            settings = {name: getattr(self, name) for name in ("r_l", "r_min", "resource_name", "eta")}
            return _named("asha", Asha(random_state=self.random_state, **settings), request)
        trials, dimensions = request.trials, len(request.space.dimensions)
        if trials.further is not None or trials.excess is not None or dimensions > MOST_DIMENSIONS:
            return _named("tpe", Tpe(), request)
        budget = request.max_trials or request.asked
        if budget > MOST_MODELLED or request.active + request.count > MOST_AT_ONCE:
            return _named("multivariate-tpe", MultivariateTpe(), request)
        if request.asked < len(request.initial):
            return _named("cmaes", CmaEs(), request)  # in the user's order
        return list(_by_turns(request))

    @property
    def _spends(self) -> bool:
        """Whether the user has said what a trial may spend."""
        return bool(self.resource_name) or self.r_l is not None


def _by_turns(request: Request) -> Iterator[Proposal]:
    """Proposals of a model and of an evolution, each learning from all trials; what one is blind to the other finds."""
    evens = (request.asked + 1) // 2  # of those proposed before
    odds = (request.asked + request.count) // 2 - request.asked // 2  # of those wanted now
    evolved = _named("cmaes", CmaEs(), replace(request, count=odds))
    points = [request.space.read(dict(proposal.parameters)) for proposal in evolved]
    pending = Pending(request.history, request.space.canonical(request.space.coordinates(points)))
    model = BayesianOptimization(n_initial_points=START)
    rest = replace(request, asked=evens, count=request.count - len(evolved), history=pending)
    turns = {0: iter(_named("bayesianoptimization", model, rest)), 1: iter(evolved)}
    for number in range(request.asked, request.asked + request.count):
        yield next(turns[number % 2])


def _named(name: str, algorithm: Algorithm, request: Request) -> list[Proposal]:
    return [replace(proposal, labels=(*proposal.labels, (CHOSEN, name))) for proposal in algorithm.suggest(request)]
