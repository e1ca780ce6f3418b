"""What a run's folder says about the run, after a controller was killed or the machine restarted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psutil

from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import NAME, is_run

# A claim is created and written in one go; one that stays empty was interrupted there. Its writer is then looked for
# among all processes, so the time, in which nothing else is done, may be short.
CLAIM_SECONDS: Final = 0.1
BOOT_SLACK_SECONDS: Final = 5.0


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
    pid = claim.pid if claim.pid is not None else _await_pid(folder)
    if pid is not None and is_run(pid, folder):
        return Found(State.ALIVE, pid, age=max(0.0, time.time() - claim.when))
    if folder.exit_status() is not None:
        return Found(State.ENDED)
    return Found(State.LOST, rebooted=claim.when < psutil.boot_time() - BOOT_SLACK_SECONDS)


def running(path: str) -> bool:
    """Whether the run of this folder is alive."""
    folder = RunFolder(path)
    claim = folder.newest_claim()
    return claim is not None and claim.pid is not None and folder.exit_status() is None and is_run(claim.pid, folder)


def _await_pid(folder: RunFolder) -> int | None:
    """The pid of a claim that is being written at this moment."""
    deadline = time.monotonic() + CLAIM_SECONDS
    while time.monotonic() < deadline:
        claim = folder.newest_claim()
        if claim is not None and claim.pid is not None:
            return claim.pid
        time.sleep(0.01)
    for process in psutil.process_iter():
        try:
            if process.cmdline()[3:5] == [NAME, folder.path]:
                return process.pid
        except psutil.Error:
            continue
    return None
