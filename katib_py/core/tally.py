"""What the finished trials add up to: a fold that takes each of them once."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from katib_py.core.confirm import Confirm, Confirmed, Repeat, repeat_of
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

    With several objectives also the Pareto front, and what joins it counts as an improvement. Where the best trials are
    to be confirmed also these, best first, and what their repeats measured, by seed; a repeat is none of the search's.
    """

    judgement: Judgement
    counts: dict[TrialState, int] = field(default_factory=dict)
    names: dict[TrialState, deque[str]] = field(default_factory=dict)
    incumbent: Incumbent | None = None
    failure: TrialRecord | None = None
    since_improvement: int = 0
    finished: int = 0
    front: Front | None = None
    confirm: Confirm | None = None
    leaders: list[Incumbent] = field(default_factory=list)
    repeats: dict[str, dict[int, float | None]] = field(default_factory=dict)
    unsuccessful_repeats: int = 0

    @property
    def objective(self) -> ObjectiveSpec:
        """The objective, the first of several."""
        return self.judgement.objective

    def add(self, trial: TrialRecord) -> None:
        """Take a finished trial in, in order of finishing; of equal values the earlier trial stays the incumbent."""
        self.finished += 1
        self.counts[trial.state] = self.counts.get(trial.state, 0) + 1
        self.names.setdefault(trial.state, deque(maxlen=NAMES_KEPT)).append(trial.name)
        if (repeat := repeat_of(trial.assignment)) is not None:
            self._repeated(repeat, trial)
            return
        self.since_improvement += 1
        if trial.state in UNSUCCESSFUL:
            self.failure = trial
        value = objective_value(self.objective, trial.observation)
        if value is None or trial.state not in COMPETING:
            return
        candidate = Incumbent(trial, value, self.judgement.violation(trial.observation))
        if self._better(candidate, self.incumbent):
            self.incumbent = candidate
            self.since_improvement = 0
        if self.confirm is not None:
            self._rank(candidate)
        if self.judgement.objectives and not candidate.violation and self._on_front(trial):
            self.since_improvement = 0

    def _rank(self, candidate: Incumbent) -> None:
        assert self.confirm is not None
        place = next((at for at, held in enumerate(self.leaders) if self._better(candidate, held)), len(self.leaders))
        self.leaders.insert(place, candidate)
        del self.leaders[self.confirm.top :]

    def _repeated(self, repeat: Repeat, trial: TrialRecord) -> None:
        measured = trial.state is TrialState.SUCCEEDED
        value = objective_value(self.objective, trial.observation) if measured else None
        self.repeats.setdefault(repeat.trial, {})[repeat.seed] = value
        self.unsuccessful_repeats += trial.state in UNSUCCESSFUL

    def _better(self, candidate: Incumbent, held: Incumbent | None) -> bool:
        """A trial that keeps to the constraints is better than any that does not; of those, the one nearer to it."""
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
        """What counts against maxFailedTrialCount: failed trials of the search and those without metrics."""
        return self.count(*UNSUCCESSFUL) - self.unsuccessful_repeats

    @property
    def searched(self) -> int:
        """How many trials of the search have finished."""
        return self.finished - sum(map(len, self.repeats.values()))

    @property
    def confirmed(self) -> list[Confirmed]:
        """What the repeats of the best trials measured, the best by its mean first."""
        found = []
        for leader in self.leaders:
            if (values := self.repeats.get(leader.trial.name)) is not None:
                known = [value for _, value in sorted(values.items()) if value is not None]
                found.append(Confirmed(leader.trial, tuple(known)))
        sign = -1 if self.objective.maximize else 1
        return sorted(found, key=lambda item: math.inf if item.mean is None else sign * item.mean)

    @property
    def optimum(self) -> TrialRecord | None:
        """The best trial: by the mean of its repeats once all are there, until then by its own value."""
        if self.confirm is not None and self.leaders and not self.unconfirmed():
            confirmed = self.confirmed
            if confirmed and confirmed[0].values:
                return confirmed[0].trial
        return self.incumbent.trial if self.incumbent is not None else None

    def unconfirmed(self) -> list[Repeat]:
        """The repeats that have not finished."""
        if self.confirm is None:
            return []
        return [
            Repeat(leader.trial.name, seed)
            for leader in self.leaders
            for seed in range(1, self.confirm.repeats + 1)
            if seed not in self.repeats.get(leader.trial.name, ())
        ]

    @property
    def goal_reached(self) -> bool:
        """Whether the incumbent meets the goal, and every constraint."""
        held = self.incumbent
        return held is not None and not held.violation and self.objective.reached(held.value)


UNSUCCESSFUL: Final = frozenset({TrialState.FAILED, TrialState.METRICS_UNAVAILABLE})
# Katib lets any trial with an observation win; a failed or killed one is no result to hand to a user.
COMPETING: Final = frozenset({TrialState.SUCCEEDED, TrialState.EARLY_STOPPED})


def tally(judgement: Judgement, trials: Iterable[TrialRecord], confirm: Confirm | None = None) -> Tally:
    """The tally of finished trials, given in order of finishing."""
    total = Tally(judgement, confirm=confirm)
    for trial in trials:
        total.add(trial)
    return total
