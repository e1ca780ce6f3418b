"""What trials are judged by beyond one objective: several objectives, and bounds on what they measure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from katib_py.core.models import Model, Number
from katib_py.core.objective import Metric, ObjectiveSpec, ObjectiveType, Strategy, as_number, metric_text


class Objective(Model):
    """One of several objectives: spec.objectives."""

    type: ObjectiveType | None = Field(None, description="The direction: minimize or maximize.")
    objective_metric_name: str = Field("", description="The metric; one of those that spec.objective names.")

    @property
    def maximize(self) -> bool:
        """Whether larger is better."""
        return self.type is ObjectiveType.MAXIMIZE


class OutcomeConstraint(Model):
    """A bound on a metric: spec.outcomeConstraints."""

    metric_name: str = Field("", description="The metric; one of those that spec.objective names.")
    at_most: Number | None = Field(None, description="The largest value that is allowed.")
    at_least: Number | None = Field(None, description="The smallest value that is allowed.")

    def violation(self, value: float | None) -> float:
        """How far the value is beyond its bounds, 0 inside; infinite where there is none."""
        if value is None:
            return math.inf
        above = value - self.at_most if self.at_most is not None else 0.0
        below = self.at_least - value if self.at_least is not None else 0.0
        return max(0.0, above, below)

    @property
    def scale(self) -> float:
        """What a violation is compared with, so that those of several metrics can be added up."""
        return max(abs(self.at_most or 0.0), abs(self.at_least or 0.0)) or 1.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """How to judge a trial. `objectives` is empty where there is one objective only."""

    objective: ObjectiveSpec
    objectives: tuple[Objective, ...] = ()
    constraints: tuple[OutcomeConstraint, ...] = ()

    def losses(self, observation: Iterable[Metric]) -> tuple[float, ...] | None:
        """The objectives turned so that smaller is better; None where one has no value."""
        values = self._values(observation)
        losses = []
        for item in self.objectives:
            value = values.get(item.objective_metric_name)
            if value is None:
                return None
            losses.append(-value if item.maximize else value)
        return tuple(losses)

    def violation(self, observation: Iterable[Metric]) -> float:
        """By how much the constraints are broken, each relative to its bound, added up; 0 where none is."""
        if not self.constraints:
            return 0.0
        values = self._values(observation)
        return math.fsum(item.violation(values.get(item.metric_name)) / item.scale for item in self.constraints)

    def _values(self, observation: Iterable[Metric]) -> Mapping[str, float | None]:
        strategy = self.objective.strategy_of
        return {metric.name: as_number(metric_text(metric, strategy(metric.name))) for metric in observation}


def strategy_for(
    metric: str, objective: ObjectiveSpec, objectives: Sequence[Objective], constraints: Sequence[OutcomeConstraint]
) -> Strategy:
    """Which value of a metric stands for a trial where nothing is said.

    An objective's is the best in its own direction, a constrained metric's the latest, any other's Katib's.
    """
    if metric != objective.objective_metric_name:
        for item in objectives:
            if item.objective_metric_name == metric:
                return DIRECTED[item.type]
        if any(item.metric_name == metric for item in constraints):
            return Strategy.LATEST
    return DIRECTED[objective.type]


DIRECTED: Final = {
    ObjectiveType.MAXIMIZE: Strategy.MAX,
    ObjectiveType.MINIMIZE: Strategy.MIN,
    None: Strategy.LATEST,
}
