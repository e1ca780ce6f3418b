"""What a stopper is: a frozen dataclass whose fields are its settings, a pure decision, and the same on live data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from katib_py.core.objective import ObjectiveSpec
from katib_py.core.trial import Rule, TrialState


class Stop(NamedTuple):
    """A decision to stop: at which step, on which value, compared with what, and all of it in words."""

    step: int
    value: float
    threshold: float
    reason: str


class Course(NamedTuple):
    """Another trial: its values of the stopper's metric in order, and how it is."""

    values: Sequence[float]
    state: TrialState


class Standing(Protocol):
    """Early stopping on live data: how every trial of one experiment stands, kept up one value at a time."""

    @property
    def metric(self) -> str:
        """The metric whose values decide."""

    def begin(self, trial: str) -> None:
        """The trial begins an attempt: what it measured before is void."""

    def measured(self, trial: str, value: str) -> str | None:
        """The text of the trial's next value of the metric; the reason to stop it, if there is one.

        Text that is no number is passed over.
        """

    def finished(self, trial: str, state: TrialState) -> None:
        """The trial has finished; what a failed one measured is void."""


class Stopper(Protocol):
    """An early stopping algorithm with its settings."""

    def conflicts(self) -> Iterator[str]:
        """Why its settings do not go together, each of which is sound by itself."""

    def decide(self, own: Sequence[float], others: Iterable[Course], objective: ObjectiveSpec) -> Stop | None:
        """Whether a trial that has just measured the last of its `own` values shall stop."""

    def standing(self, objective: ObjectiveSpec) -> Standing:
        """The same decision on live data, from an experiment without trials on."""

    def rule(self, finished: Iterable[Sequence[float]], objective: ObjectiveSpec) -> Rule | None:
        """The decision as one of Katib's fixed rules, from the values of the succeeded trials; None if it is none."""


def worst(objective: ObjectiveSpec) -> float:
    """The worst possible value of the objective."""
    return -math.inf if objective.maximize else math.inf


def number_of(text: str) -> float | None:
    """The value, NaN included; None for text that is no number."""
    try:
        return float(text)
    except ValueError:
        return None
