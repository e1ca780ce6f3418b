"""BOHB: Hyperband's schedule over configurations that a model proposes (Falkner et al., ICML 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.configurations import Configuration, narrowed
from suggestion_services.contract import ACTIVE, FAILED, METRICS_UNAVAILABLE, Bounds, Marked, Request, Trials, setting
from suggestion_services.fidelity import Ladder, stable
from suggestion_services.hyperband import Scheduled
from suggestion_services.random_search import RandomSearch
from suggestion_services.rungs import Rungs, has_result
from suggestion_services.tpe import MultivariateTpe


@dataclass(frozen=True, slots=True)
class Bohb(Scheduled):
    """The model is of the highest level that has enough results, whichever brackets they are from."""

    cycles: int = setting(0, "how often the schedule is run; 0: without end", Bounds(at_least=0))
    random_fraction: float = setting(
        1 / 3, "share of the new configurations that are random", Bounds(at_least=0, at_most=1)
    )
    gamma: float = setting(0.15, "share of the results that count as good", Bounds(above=0, below=1))
    n_ei_candidates: int = setting(64, "points compared for each configuration", Bounds(at_least=0), ("num_samples",))
    min_points_in_model: int | None = setting(
        None, "results that a model needs; by default one more than parameters", Bounds(at_least=1)
    )

    name: ClassVar[str] = "bohb"

    def new(self, count: int, request: Request, ladder: Ladder, rungs: Rungs) -> Sequence[Configuration]:
        """From the model and at random, each pending when the next is chosen."""
        # One parameter is the resource, which the model does not see.
        told = self._told(rungs, ladder, self.min_points_in_model or len(request.space.names))
        model = MultivariateTpe(gamma=self.gamma, n_ei_candidates=self.n_ei_candidates, n_startup_trials=1)
        found: list[Configuration] = []
        points: list[Floats] = []
        for index in range(request.asked, request.asked + count):
            inner = replace(narrowed(request, ladder, told, points), asked=index, count=1)
            at_random = request.generator(index).random() < self.random_fraction
            source = RandomSearch() if told is None or at_random else model
            found += (stable(inner.space, proposal.parameters) for proposal in source.suggest(inner))
            read = inner.space.coordinates([inner.space.read(dict(found[-1]))])
            points.append(inner.space.canonical(read)[0])
        return found

    def _told(self, rungs: Rungs, ladder: Ladder, enough: int) -> Trials | None:
        """What the model learns from; None while no level has enough results.

        Failures of any level count as bad. Of trials under way those that are new are pending: one that was promoted
        is known already, and to keep away from it would be to keep away from what is good.
        """
        everything = [rungs.everywhere(level) for level in range(ladder.top + 1)]
        for trials in reversed(everything):
            results = [trial for trial in trials if has_result(trial)]
            if len(results) >= enough:
                lost = [item for level in everything for item in level if item.state in {FAILED, METRICS_UNAVAILABLE}]
                pending = [trial for trial in rungs.started() if trial.state in ACTIVE]
                return _columns([*results, *lost, *pending], ladder)
        return None


def _columns(trials: Iterable[Marked], ladder: Ladder) -> Trials:
    inside = [trial for trial in trials if not np.isnan(trial.point).any()]
    return Trials(
        np.array([ladder.without(trial.point) for trial in inside]),
        np.array([trial.loss for trial in inside]),
        np.array([trial.state for trial in inside], dtype=np.int8),
    )
