"""What a controller may do. Each names the wanted state, so late, early and double runs do no harm."""

from __future__ import annotations

from dataclasses import dataclass

from katib_py.core.confirm import Repeat
from katib_py.core.trial import Assignment, StopIntent


@dataclass(frozen=True, slots=True)
class Ask:
    """Have `total` assignments in all, those of past trials counted in."""

    total: int


@dataclass(frozen=True, slots=True)
class CreateTrial:
    """Have this assignment as a trial."""

    assignment: Assignment


@dataclass(frozen=True, slots=True)
class Confirm:
    """Have these repeats assigned."""

    repeats: tuple[Repeat, ...]


@dataclass(frozen=True, slots=True)
class StopTrial:
    """Have this trial's run ended, for the reason given."""

    name: str
    intent: StopIntent


@dataclass(frozen=True, slots=True)
class SetCondition:
    """Have this condition of the experiment at this status."""

    type: str
    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Have the experiment Succeeded or Failed."""

    succeeded: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Restart:
    """Have a finished experiment go on: its budget was raised."""


Action = Ask | CreateTrial | Confirm | StopTrial | SetCondition | Finish | Restart
