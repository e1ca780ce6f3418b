"""One experiment as its controller holds it in memory, rebuilt from the store at start."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from katib_py.controller.ports import Key, Stored, SuggestionRecord
from katib_py.core.experiment import Experiment
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.reconcile import Snapshot, Verdict
from katib_py.core.status import ExperimentStatus, read_status
from katib_py.core.tally import Tally
from katib_py.core.trial import Assignment, TrialRecord, Waiting, trial_uid


@dataclass(slots=True)
class Board:
    """The experiment, its live trials, the assignments not yet used and the tally of the finished."""

    key: Key
    experiment: Experiment
    generation: int
    suggestion: SuggestionRecord
    unused: deque[Assignment]
    live: dict[str, TrialRecord]
    tally: Tally
    status: ExperimentStatus
    waiting: Waiting | None = None
    ask_ahead: bool = False
    finished_now: list[TrialRecord] = field(default_factory=list)

    @classmethod
    def build(cls, key: Key, stored: Stored, finished: Iterable[TrialRecord]) -> Board:
        """The board of what the store has."""
        board = cls(
            key,
            stored.experiment,
            stored.generation,
            stored.suggestion,
            deque(stored.unused),
            {trial.name: trial for trial in stored.live},
            Tally(stored.experiment.spec.judgement(), confirm=stored.experiment.spec.confirm),
            read_status(stored.experiment.status),
        )
        for trial in finished:
            board.tally.add(trial)
        return board

    @property
    def objective(self) -> ObjectiveSpec:
        """What is optimised."""
        return _objective(self.experiment)

    @property
    def uid(self) -> str:
        """The experiment's uid."""
        return self.experiment.metadata.uid

    def trial_uid(self, trial: TrialRecord) -> str:
        """The uid of one of its trials."""
        return trial.uid or trial_uid(self.uid, trial.name)

    def stored(self, uids: Mapping[str, str]) -> None:
        """Trials by name that the store has just made and given uids of its own."""
        for name, uid in uids.items():
            if name in self.live:
                self.live[name] = replace(self.live[name], uid=uid)

    def put(self, trial: TrialRecord) -> None:
        """Take a trial's new state in; a finished one leaves the live trials and joins the tally."""
        if trial.state.finished:
            if self.live.pop(trial.name, None) is not None:
                self.tally.add(trial)
                self.finished_now.append(trial)
        else:
            self.live[trial.name] = trial

    def snapshot(self, now: float, interrupted: bool) -> Snapshot:
        """What `reconcile` looks at."""
        spec = self.experiment.spec
        return Snapshot(
            spec,
            self.tally,
            tuple(self.live.values()),
            tuple(self.unused),
            self.suggestion.assigned,
            self.status.active_seconds(now),
            self.suggestion.ended,
            self.suggestion.failed,
            self.verdict,
            self.status.running,
            interrupted,
            self.ask_ahead,
        )

    @property
    def verdict(self) -> Verdict | None:
        """How the experiment ended, if it has."""
        return self.status.verdict


def _objective(experiment: Experiment) -> ObjectiveSpec:
    if experiment.spec.objective is None:
        raise ValueError("an experiment without objective cannot be driven; validate it first")
    return experiment.spec.objective
