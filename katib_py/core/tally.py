"""What the finished trials add up to: a fold that takes each of them once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from katib_py.core.objective import ObjectiveSpec, objective_value
from katib_py.core.trial import TrialRecord, TrialState

NAMES_KEPT: Final = 500  # per state, the newest: what status shows and an object can carry


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The best trial so far and its objective value."""

    trial: TrialRecord
    value: float


@dataclass(slots=True)
class Tally:
    """Counts by state, the newest names of each, the incumbent, the trials since it was found, the newest failure."""

    objective: ObjectiveSpec
    counts: dict[TrialState, int] = field(default_factory=dict)
    names: dict[TrialState, deque[str]] = field(default_factory=dict)
    incumbent: Incumbent | None = None
    failure: TrialRecord | None = None
    since_improvement: int = 0
    finished: int = 0

    def add(self, trial: TrialRecord) -> None:
        """Take a finished trial in, in order of finishing; of equal values the earlier trial stays the incumbent."""
        self.finished += 1
        self.counts[trial.state] = self.counts.get(trial.state, 0) + 1
        self.names.setdefault(trial.state, deque(maxlen=NAMES_KEPT)).append(trial.name)
        self.since_improvement += 1
        if trial.state in UNSUCCESSFUL:
            self.failure = trial
        value = objective_value(self.objective, trial.observation)
        if value is None or trial.state not in COMPETING:
            return
        if self.incumbent is None or self.objective.better(value, self.incumbent.value):
            self.incumbent = Incumbent(trial, value)
            self.since_improvement = 0

    def count(self, *states: TrialState) -> int:
        """How many finished trials are in one of these states."""
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def failed(self) -> int:
        """What counts against maxFailedTrialCount: failed trials and those without metrics."""
        return self.count(*UNSUCCESSFUL)

    @property
    def goal_reached(self) -> bool:
        """Whether the incumbent meets the goal."""
        return self.incumbent is not None and self.objective.reached(self.incumbent.value)


UNSUCCESSFUL: Final = frozenset({TrialState.FAILED, TrialState.METRICS_UNAVAILABLE})
# Katib lets any trial with an observation win; a failed or killed one is no result to hand to a user.
COMPETING: Final = frozenset({TrialState.SUCCEEDED, TrialState.EARLY_STOPPED})


def tally(objective: ObjectiveSpec, trials: Iterable[TrialRecord]) -> Tally:
    """The tally of finished trials, given in order of finishing."""
    total = Tally(objective)
    for trial in trials:
        total.add(trial)
    return total
