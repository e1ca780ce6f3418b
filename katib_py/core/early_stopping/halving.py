"""Asynchronous successive halving on intermediate values (Li et al., MLSys 2020, as a stopping rule)."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from katib_py.core.early_stopping.comparison import ComparedStanding, decided
from katib_py.core.early_stopping.progress import Progress
from katib_py.core.early_stopping.settings import integer, number
from katib_py.core.early_stopping.stopper import Course, Stop
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule

# A product of factors such as 1.1 is off by less than this.
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True)
class AshaStop:
    """Stops a trial at a rung unless its best is among the best 1/eta of all that have reached the rung.

    Rungs are the steps min_resource, min_resource·eta, min_resource·eta², … below `max_resource`, where trials end
    anyway. Of fewer than eta trials the best one goes on.
    """

    eta: float = number(3.0, "a number above 1", lambda value: value > 1)
    min_resource: int = integer(1, at_least=1)
    max_resource: int | None = integer(None, at_least=1)

    def conflicts(self) -> Iterator[str]:
        """There is a rung."""
        if self.max_resource is not None and self.max_resource <= self.min_resource:
            yield (
                f"leave no rung: min_resource is {self.min_resource} and max_resource {self.max_resource}; "
                "max_resource must be greater"
            )

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether too many others were better at the rung that the trial has just reached."""
        return decided(self, own, others, objective)

    def standing(self, objective: ObjectiveSpec) -> ComparedStanding:
        """The same on live data."""
        return ComparedStanding(self, objective)

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """None: a fixed rule looks at every step from its first on, a rung is one step."""
        return None

    def place(self, step: int) -> int | None:
        """The number of the rung at this step, from 0."""
        if step < self.min_resource or (self.max_resource is not None and step >= self.max_resource):
            return None
        place, rung, resource = 0, self.min_resource, float(self.min_resource)
        while rung < step:
            resource *= self.eta
            # The first step at or after the resource; rungs closer than a step would fall together.
            rung = max(rung + 1, math.ceil(resource * (1 - ROUNDING)))
            place += 1
        return place if rung == step else None

    def left(self, progress: Progress) -> float:
        """The best so far."""
        return progress.best

    def compare(
        self, progress: Progress, others: Sequence[float], succeeded: int, objective: ObjectiveSpec
    ) -> Stop | None:
        """Among the best 1/eta, equals included, or stopped."""
        reached = len(others) + 1
        places = max(1, int(reached / self.eta))
        better = _better(others, progress.best, objective)
        if better < places:
            return None
        last = others[-places] if objective.maximize else others[places - 1]
        step, metric = progress.steps, objective.objective_metric_name
        words = (
            f"{metric}: at the rung of step {step}, {better} of {len(others)} other trials are better than its best, "
            f"{progress.best:g}; of {reached} that have come here the best {places} go on, from {last:g}"
        )
        return Stop(step, progress.best, last, words)


def _better(ordered: Sequence[float], value: float, objective: ObjectiveSpec) -> int:
    return len(ordered) - bisect_right(ordered, value) if objective.maximize else bisect_left(ordered, value)
