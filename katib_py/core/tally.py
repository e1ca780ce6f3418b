"""What the finished trials add up to: a fold that takes each of them once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from katib_py.core.objective import ObjectiveSpec, objective_value
from katib_py.core.outcome import Judgement
from katib_py.core.pareto import Front
from katib_py.core.trial import TrialRecord, TrialState

NAMES_KEPT: Final = 500  # per state, the newest: what status shows and an object can carry
FRONT_KEPT: Final = 200  # of the Pareto front


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The best trial so far, its objective value, and by how much it breaks the outcome constraints."""

    trial: TrialRecord
    value: float
    violation: float = 0.0


@dataclass(slots=True)
class Tally:
    """Counts by state, the newest names of each, the incumbent, the trials since it was found, the newest failure.

    With several objectives also the Pareto front, and what joins it counts as an improvement.
    """

    judgement: Judgement
    counts: dict[TrialState, int] = field(default_factory=dict)
    names: dict[TrialState, deque[str]] = field(default_factory=dict)
    incumbent: Incumbent | None = None
    failure: TrialRecord | None = None
    since_improvement: int = 0
    finished: int = 0
    front: Front | None = None

    @property
    def objective(self) -> ObjectiveSpec:
        """The objective, the first of several."""
        return self.judgement.objective

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
        candidate = Incumbent(trial, value, self.judgement.violation(trial.observation))
        if self._better(candidate):
            self.incumbent = candidate
            self.since_improvement = 0
        if self.judgement.objectives and not candidate.violation and self._on_front(trial):
            self.since_improvement = 0

    def _better(self, candidate: Incumbent) -> bool:
        """A trial that keeps to the constraints is better than any that does not; of those, the one nearer to it."""
        held = self.incumbent
        if held is None:
            return True
        if candidate.violation != held.violation:
            return candidate.violation < held.violation
        return self.objective.better(candidate.value, held.value)

    def _on_front(self, trial: TrialRecord) -> bool:
        losses = self.judgement.losses(trial.observation)
        self.front = self.front or Front()
        return losses is not None and self.front.add(trial.name, losses)

    def count(self, *states: TrialState) -> int:
        """How many finished trials are in one of these states."""
        return sum(self.counts.get(state, 0) for state in states)

    @property
    def failed(self) -> int:
        """What counts against maxFailedTrialCount: failed trials and those without metrics."""
        return self.count(*UNSUCCESSFUL)

    @property
    def goal_reached(self) -> bool:
        """Whether the incumbent meets the goal, and every constraint."""
        held = self.incumbent
        return held is not None and not held.violation and self.objective.reached(held.value)


UNSUCCESSFUL: Final = frozenset({TrialState.FAILED, TrialState.METRICS_UNAVAILABLE})
# Katib lets any trial with an observation win; a failed or killed one is no result to hand to a user.
COMPETING: Final = frozenset({TrialState.SUCCEEDED, TrialState.EARLY_STOPPED})


def tally(judgement: Judgement, trials: Iterable[TrialRecord]) -> Tally:
    """The tally of finished trials, given in order of finishing."""
    total = Tally(judgement)
    for trial in trials:
        total.add(trial)
    return total
