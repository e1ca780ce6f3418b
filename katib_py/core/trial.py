"""The trial: one assignment of the search space, its runs and what they measured."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from katib_py.core.names import LABELS_OF_ALGORITHMS
from katib_py.core.objective import Metric


class TrialState(StrEnum):
    """The type of a trial's newest condition."""

    CREATED = "Created"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    KILLED = "Killed"
    EARLY_STOPPED = "EarlyStopped"
    METRICS_UNAVAILABLE = "MetricsUnavailable"

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self not in {TrialState.CREATED, TrialState.RUNNING}


# Katib's reason and message for each condition of a trial (api.md §4.3); Killed is ours, Katib never sets it.
CONDITION_TEXTS: Final[Mapping[TrialState, tuple[str, str]]] = {
    TrialState.CREATED: ("TrialCreated", "Trial is created"),
    TrialState.RUNNING: ("TrialRunning", "Trial is running"),
    TrialState.SUCCEEDED: ("TrialSucceeded", "Trial has succeeded"),
    TrialState.FAILED: ("TrialFailed", "Trial has failed"),
    TrialState.KILLED: ("TrialKilled", "Trial is killed"),
    TrialState.EARLY_STOPPED: ("TrialEarlyStopped", "Trial is early stopped"),
    TrialState.METRICS_UNAVAILABLE: ("MetricsUnavailable", "Metrics are not available"),
}

PARENT: Final = f".{LABELS_OF_ALGORITHMS}/parent"

Parameters = tuple[tuple[str, str], ...]


class Rule(NamedTuple):
    """Katib's earlyStoppingRules entry; `start_step` 0 means every step."""

    name: str
    value: str
    comparison: str
    start_step: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a suggestion service proposed for the trial number `index`: Katib's TrialAssignment."""

    name: str
    index: int
    parameters: Parameters
    labels: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()

    @property
    def parent(self) -> str:
        """The trial whose checkpoint this one goes on from, as its algorithm noted it; empty for none."""
        return next((value for key, value in self.labels if key.endswith(PARENT)), "")


class StopKind(StrEnum):
    """What becomes of a trial whose run is told to end."""

    EARLY_STOPPED = "EarlyStopped"
    KILLED = "Killed"
    SUSPENDED = "Suspended"  # it gets a new attempt later and is no failure


class StopIntent(NamedTuple):
    """A recorded decision to end a trial's run, and why in words.

    `told`: the run was told so itself, so that it ends by that, whatever its own verdict is.
    """

    kind: StopKind
    message: str
    told: bool = False


class Waiting(NamedTuple):
    """What a trial or experiment waits for. `since` is seconds since the epoch, UTC."""

    reason: str
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """What the controller keeps of a trial. Times are seconds since the epoch, UTC; `attempt` counts runs from 1.

    `uid` is the one that a store gave; empty where it is made of the name (`trial_uid`).
    """

    assignment: Assignment
    created: float
    state: TrialState = TrialState.CREATED
    attempt: int = 1
    retries: int = 0
    disruptions: int = 0
    started: float | None = None
    completed: float | None = None
    reason: str = ""
    message: str = ""
    observation: tuple[Metric, ...] = ()
    stop: StopIntent | None = None
    waiting: Waiting | None = None
    uid: str = ""

    @property
    def name(self) -> str:
        """The trial's name, its run's too."""
        return self.assignment.name


def trial_uid(experiment_uid: str, name: str) -> str:
    """The uid of a trial where no API server gives one: the same for every controller that asks."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{experiment_uid}/{name}"))
