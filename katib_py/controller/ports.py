"""What the loop needs of a platform: four ports, each a question."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from katib_py.core.experiment import Experiment
from katib_py.core.objective import Measurement, Metric
from katib_py.core.trial import Assignment, TrialRecord


class Key(NamedTuple):
    """Which experiment."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class SuggestionRecord:
    """What is kept of an experiment's Suggestion.

    `assigned` counts every assignment ever recorded. `settings` are those that the service returned; they overlay the
    experiment's. `failed`: why the service refuses the experiment.
    """

    requests: int = 0
    assigned: int = 0
    ended: bool = False
    failed: str = ""
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Stored:
    """An experiment as the store has it; `generation` grows with every change of the spec by somebody else."""

    experiment: Experiment
    generation: int
    suggestion: SuggestionRecord
    unused: tuple[Assignment, ...]
    live: tuple[TrialRecord, ...]


class EventType(StrEnum):
    """Kubernetes' two types of Event."""

    NORMAL = "Normal"
    WARNING = "Warning"


class Event(NamedTuple):
    """Something worth telling about an object: `kind` and `name` say which."""

    kind: str
    name: str
    type: EventType
    reason: str
    message: str
    time: float


@dataclass(slots=True)
class Change:
    """What one turn of the loop writes, in one transaction.

    `assignments` are appended only if the store still counts `assigned_before`; otherwise nothing of the change is
    written and Conflict is raised. `finished` trials are numbered in the order given.
    """

    assignments: list[Assignment] = field(default_factory=list)
    assigned_before: int = 0
    suggestion: SuggestionRecord | None = None
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    status: dict[str, Any] | None = None
    events: list[Event] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.assignments or self.trials or self.events or self.status is not None or self.suggestion is not None
        )


class Prior(NamedTuple):
    """An experiment as the store has it, and its finished trials, oldest first."""

    experiment: Experiment
    finished: Sequence[TrialRecord]


class Store(Protocol):
    """Which experiments, suggestions and trials are there; keep a change if nobody was faster."""

    async def load(self, key: Key) -> Stored:
        """The experiment with its live trials and unused assignments; raises NotFound."""

    async def finished(self, key: Key, after: int, limit: int) -> Sequence[TrialRecord]:
        """Up to `limit` finished trials in order of finishing, from number `after` (from 0) on."""

    async def commit(self, key: Key, change: Change) -> Mapping[str, str]:
        """Write the change whole; raises Conflict where the store has moved on, Held, and NotFound.

        Returns the uids that the store gave to new trials by name, where it gives such.
        """

    async def refresh(self, key: Key, generation: int) -> Stored | None:
        """The experiment if its spec was changed by somebody else since `generation`; raises NotFound once deleted."""

    async def prior(self, key: Key, limit: int) -> Prior:
        """Another experiment with up to `limit` finished trials, the newest; raises NotFound."""


@dataclass(frozen=True, slots=True)
class RunOrder:
    """A trial's run: the rendered and marked object, and which attempt it is.

    `adopt_only`: take over what is there, but start nothing; ABSENT is reported where nothing is. `fresh`: the trial
    was created by this engine, so what is there is of one that the store has forgotten, and LOST is reported.
    `position`: of the attempt's newest measurement that is recorded; what comes before it need not be read again.
    """

    trial: TrialRecord
    trial_uid: str
    document: Mapping[str, Any]
    adopt_only: bool = False
    fresh: bool = False
    position: int | None = None

    @property
    def name(self) -> str:
        """The trial's name."""
        return self.trial.name


class RunPhase(StrEnum):
    """How a run is."""

    WAITING = "waiting"  # not started yet: `detail` says for what
    RUNNING = "running"
    ENDED = "ended"  # `document` carries the final status
    LOST = "lost"  # gone without a verdict
    ABSENT = "absent"  # nothing was there to adopt


@dataclass(frozen=True, slots=True)
class RunReport:
    """What is new about a run. `measurements` may come with any phase, or alone (phase None).

    ENDED: `document` is the run object with its status, `stopped` says that it ended because it was told to,
    `retry` that its own back-off limit allows another attempt, `seen` names the metrics in its output.
    LOST: `disrupted` says that the machine is to blame, not the run. `notes` are oddities of what was read.
    `unreported` is the observation of a collector that could not report all that it read.
    """

    name: str
    attempt: int
    phase: RunPhase | None
    measurements: tuple[Measurement, ...] = ()
    document: Mapping[str, Any] | None = None
    stopped: bool = False
    retry: bool = False
    disrupted: bool = False
    reason: str = ""
    detail: str = ""
    seen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    unreported: tuple[Metric, ...] = ()


class Runner(Protocol):
    """Start this trial's run; how is it; stop it."""

    def start(self, order: RunOrder) -> None:
        """Have this attempt running: starts it, or takes over what is there already. Reports tell the rest."""

    def stop(self, name: str) -> None:
        """End the trial's run and everything that it started; an ENDED report follows."""

    def reports(self) -> Iterable[RunReport]:
        """What is new since the last call, in order."""

    def forget(self, name: str, retain: bool) -> None:
        """The trial is finished and recorded; with `retain` its run object is kept."""

    async def close(self) -> None:
        """Let go of every run without ending it."""


class EarlyStopping(NamedTuple):
    """A third party's early stopping service: a grpc.aio channel to it, and where it finds the db-manager."""

    channel: Any
    db_manager: str


class Suggesters(Protocol):
    """A gRPC channel to an algorithm's service."""

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to a service that answers; raises ServiceUnavailable."""

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """The experiment's early stopping service, None where ours decide; raises ServiceUnavailable."""

    async def close(self) -> None:
        """Let go of the services."""


# Whose measurements: a trial's uid and which of its attempts.
Attempt = tuple[str, int]


class Observations(Protocol):
    """Append measurements; follow what is new; read a trial's."""

    async def append(self, rows: Sequence[tuple[RunOrder, Sequence[Measurement]]]) -> None:
        """Record measurements of runs; what is recorded already is passed over."""

    async def read(self, attempts: Sequence[Attempt]) -> Sequence[Sequence[Measurement]]:
        """Every measurement of each of these attempts."""

    async def follow(
        self, cursor: int, trial_uids: Sequence[str]
    ) -> tuple[int, Sequence[tuple[str, int, Measurement]]]:
        """What others reported since the cursor: the new cursor and (trial uid, attempt, measurement) triples."""

    async def record_stop(self, trial_uid: str, attempt: int, reason: str) -> None:
        """Tell a pushing trial with its next report to stop."""


class Clock(Protocol):
    """Time and waiting: real, or virtual on the simulated platform."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    async def wait(self, wake: asyncio.Event, seconds: float, busy: bool) -> None:
        """Return when `wake` is set or after `seconds`; a virtual clock moves only when the loop is not `busy`."""
