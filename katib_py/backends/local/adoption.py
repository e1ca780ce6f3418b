"""What a run's folder says about the run, after a controller was killed or the machine restarted."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import psutil

from katib_py.backends.local.environment import ENV_RUN
from katib_py.backends.local.folder import Identity, RunFolder
from katib_py.backends.local.fork_server import birth
from katib_py.backends.local.process import inherit

BOOT_SLACK_SECONDS: Final = 5.0
CLOCK_SECONDS: Final = 1.0
LOOK_SECONDS: Final = 0.01
START_SECONDS: Final = 5.0  # a start that takes longer will not come


class State(StrEnum):
    """How an attempt is."""

    ABSENT = "absent"  # never begun
    UNSTARTED = "unstarted"  # begun, but its program has not run and will not
    ALIVE = "alive"
    ENDED = "ended"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Found:
    """What was found. ALIVE: `pid`, by start number `start`, and `age`, in seconds since its program began.

    UNSTARTED: `start` is the number for the next start. LOST: `rebooted` says why.
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
    claim = folder.newest_claim()
    if claim is not None and claim.status is not None:
        return Found(State.ENDED)
    if claim is None or claim.void:
        number = claim.number if claim is not None else 0
        # A start may be on its way. Whoever creates the claim wins; if that is us, the start runs nothing.
        if folder.claim_void(number + 1):
            return Found(State.UNSTARTED, start=number + 2)
        return find(folder)
    program = claim.program or _started(folder, claim.number)
    if program is not None and (_alive(program, claim.when) or awaited(folder)):
        return Found(State.ALIVE, program.pid, claim.number, age=max(0.0, time.time() - claim.when))
    if program is not None:
        inherit(folder.claim_path(claim.number), program.pid)
    if folder.exit_status() is not None:
        return Found(State.ENDED)
    return Found(State.LOST, rebooted=claim.when < psutil.boot_time() - BOOT_SLACK_SECONDS)


def running(path: str) -> bool:
    """Whether the run of this folder is alive."""
    folder = RunFolder(path)
    claim = folder.newest_claim()
    if claim is None or claim.status is not None:
        return False
    identity = claim.program or claim.server
    return identity is not None and _alive(identity, claim.when)


def awaited(folder: RunFolder) -> bool:
    """Whether a fork server is there that will still write the exit status."""
    claim = folder.newest_claim()
    if claim is None or claim.status is not None or claim.server is None:
        return False
    return _alive(claim.server, claim.when)


def _started(folder: RunFolder, number: int) -> Identity | None:
    """The program of a start that was interrupted, or is being made at this moment; None where it will not come."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        claim = folder.newest_claim()
        if claim is None or claim.number != number or claim.status is not None:
            break
        if claim.program is not None:
            return claim.program
        if claim.server is not None and not _alive(claim.server, claim.when):
            break
        time.sleep(LOOK_SECONDS)
    for process in psutil.process_iter():
        try:
            if process.environ().get(ENV_RUN) == folder.path and process.pid == os.getsid(process.pid):
                return Identity(process.pid, birth(process.pid))
        except (psutil.Error, OSError):
            continue
    return None


def _alive(identity: Identity, seen: float) -> bool:
    """Whether this process is there, and no later one that got its number; it was seen alive at `seen`."""
    try:
        process = psutil.Process(identity.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if identity.birth:
            return birth(identity.pid) == identity.birth
        # Where the kernel keeps no count of births: whoever was there then cannot have begun later.
        return process.create_time() < seen + CLOCK_SECONDS
    except psutil.Error:
        return False
