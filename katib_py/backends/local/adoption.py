"""What a run's folder says about the run, after a controller was killed or the machine restarted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psutil

from katib_py.backends.local.folder import Claim, RunFolder
from katib_py.backends.local.fork_server import birth

BOOT_SLACK_SECONDS: Final = 5.0
CLOCK_SECONDS: Final = 1.0


class State(StrEnum):
    """How an attempt is."""

    ABSENT = "absent"  # never begun
    UNSTARTED = "unstarted"  # begun, but its program has not run and will not
    ALIVE = "alive"
    ENDED = "ended"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. ALIVE: `pid`. UNSTARTED: `start` is the number for the next start. LOST: `rebooted` says why.

    `age`: seconds since its program began.
    """

    state: State
    pid: int = 0
    start: int = 1
    rebooted: bool = False
    age: float = 0.0


def find(folder: RunFolder) -> Found:
    """How the attempt is; where no process has claimed the folder yet, none will any more."""
    if not folder.exists():
        return Found(State.ABSENT)
    if folder.exit_status() is not None:
        return Found(State.ENDED)
    claim = folder.newest_claim()
    if claim is None or claim.void:
        number = claim.number if claim is not None else 0
        # A start may be on its way. Whoever creates the claim wins; if that is us, the start runs nothing.
        if folder.claim_void(number + 1):
            return Found(State.UNSTARTED, start=number + 2)
        return find(folder)
    if _alive(claim):
        return Found(State.ALIVE, claim.pid, age=max(0.0, time.time() - claim.when))
    if folder.exit_status() is not None:
        return Found(State.ENDED)
    return Found(State.LOST, rebooted=claim.when < psutil.boot_time() - BOOT_SLACK_SECONDS)


def running(path: str) -> bool:
    """Whether the run of this folder is alive."""
    folder = RunFolder(path)
    claim = folder.newest_claim()
    return claim is not None and not claim.void and folder.exit_status() is None and _alive(claim)


def _alive(claim: Claim) -> bool:
    """Whether the process that made the claim is there, and no later one that got its number."""
    try:
        process = psutil.Process(claim.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # Where the kernel keeps no count of births, whoever made the claim is at least not younger than it.
        return birth(claim.pid) == claim.birth if claim.birth else process.create_time() < claim.when + CLOCK_SECONDS
    except psutil.Error:
        return False
