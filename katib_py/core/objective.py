"""What is optimised, and what a trial measured of it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from katib_py.core.models import Model, Number
from katib_py.core.names import UNAVAILABLE


class ObjectiveType(StrEnum):
    """The direction of the search."""

    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class Strategy(StrEnum):
    """Which of a metric's values stands for the trial."""

    MIN = "min"
    MAX = "max"
    LATEST = "latest"


class MetricStrategy(Model):
    """Which of a metric's values counts: Katib's metricStrategies entry."""

    name: str = Field("", description="The metric's name.")
    value: Strategy | None = Field(None, description="Which of its values stands for the trial: min, max or latest.")


class ObjectiveSpec(Model):
    """What is optimised: Katib's spec.objective."""

    type: ObjectiveType | None = Field(None, description="The direction: minimize or maximize.")
    goal: Number | None = Field(None, description="The experiment ends with a trial that is this good.")
    objective_metric_name: str = Field("", description="The metric that is optimised.")
    additional_metric_names: tuple[str, ...] = Field((), description="Further metrics to collect.")
    metric_strategies: tuple[MetricStrategy, ...] = Field(
        (), description="Which value of a metric counts; by default the best in the objective's direction."
    )

    @property
    def maximize(self) -> bool:
        """Whether larger is better."""
        return self.type is ObjectiveType.MAXIMIZE

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The objective metric, then the additional ones."""
        return (self.objective_metric_name, *self.additional_metric_names)

    def strategy_of(self, metric: str) -> Strategy:
        """The strategy of a metric; by default the objective's own direction (Katib's rule, additional metrics too)."""
        for entry in self.metric_strategies:
            if entry.name == metric and entry.value is not None:
                return entry.value
        return Strategy.MAX if self.maximize else Strategy.MIN

    def better(self, value: float, than: float) -> bool:
        """Whether `value` is strictly better."""
        return value > than if self.maximize else value < than

    def reached(self, value: float) -> bool:
        """Whether `value` meets the goal; never without one."""
        if self.goal is None:
            return False
        return value >= self.goal if self.maximize else value <= self.goal


class Measurement(NamedTuple):
    """One value of one metric, as it left the program.

    `position` orders the measurements of one attempt and is unique with the metric's name: a byte offset, a log ordinal
    or the reporter's counter. `time` is in UTC. `value` keeps the original text: 0.50, 1e-3, nan.
    """

    metric: str
    value: str
    time: datetime
    position: int


class Metric(NamedTuple):
    """One metric of a trial's observation: text, or `unavailable`."""

    name: str
    min: str
    max: str
    latest: str


class ObservationFold:
    """The observation of one attempt, built one measurement at a time.

    Extremes are over the numbers, NaN left out; the latest is of the newest time, of equal times the last position.
    """

    def __init__(self, metrics: Iterable[str]) -> None:
        self._summaries = {name: _Summary() for name in metrics}

    def add(self, item: Measurement) -> None:
        """Take one measurement in; other metrics than the named ones are passed over."""
        if (summary := self._summaries.get(item.metric)) is not None:
            summary.add(item)

    def metrics(self) -> tuple[Metric, ...]:
        """One entry per metric, in the order named; `unavailable` where nothing was measured."""
        return tuple(Metric(name, item.min[1], item.max[1], item.latest) for name, item in self._summaries.items())


class _Summary:
    __slots__ = ("latest", "max", "min", "newest")

    def __init__(self) -> None:
        self.min = (math.inf, UNAVAILABLE)
        self.max = (-math.inf, UNAVAILABLE)
        self.newest: tuple[datetime, int] | None = None
        self.latest = UNAVAILABLE

    def add(self, item: Measurement) -> None:
        if self.newest is None or (item.time, item.position) >= self.newest:
            self.newest = (item.time, item.position)
            self.latest = item.value or UNAVAILABLE
        if (value := as_number(item.value)) is None:
            return
        if value < self.min[0] or self.min[1] == UNAVAILABLE:
            self.min = (value, item.value)
        if value > self.max[0] or self.max[1] == UNAVAILABLE:
            self.max = (value, item.value)


def observe(measurements: Iterable[Measurement], metrics: Iterable[str]) -> tuple[Metric, ...]:
    """The observation of one attempt's measurements, given in any order."""
    fold = ObservationFold(metrics)
    for item in measurements:
        fold.add(item)
    return fold.metrics()


def as_number(text: str) -> float | None:
    """The value of a metric's text; None for NaN and for anything that is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value


def metric_text(metric: Metric, strategy: Strategy) -> str:
    """The value that stands for the metric: an unavailable extreme falls back to the latest (Katib's rule)."""
    if strategy is Strategy.LATEST:
        return metric.latest
    extreme = metric.min if strategy is Strategy.MIN else metric.max
    return metric.latest if extreme == UNAVAILABLE else extreme


def objective_value(objective: ObjectiveSpec, observation: Iterable[Metric]) -> float | None:
    """The trial's objective; None where it is missing, unavailable or NaN."""
    for metric in observation:
        if metric.name == objective.objective_metric_name:
            return as_number(metric_text(metric, objective.strategy_of(metric.name)))
    return None
