"""Finding what a run started, also what left its group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import psutil

from katib_py.backends.local.environment import ENV_EXPERIMENT_UID, ENV_RUN


def descendants(pid: int) -> list[psutil.Process]:
    """Every process below this one, at the moment of asking."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


class Mark(NamedTuple):
    """What the environment of a run's processes says: the run's folder, or one above it, and the experiment's uid."""

    folder: str
    uid: str


def marked(mark: Mark) -> list[tuple[str, psutil.Process]]:
    """Every process that belongs to the run of this folder or to one below it, and to which."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        run, uid = environment.get(ENV_RUN, ""), environment.get(ENV_EXPERIMENT_UID, "")
        if uid == mark.uid and f"{run}/".startswith(f"{mark.folder}/"):
            found.append((run, process))
    return found


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Signal those that are still there; psutil refuses a number that was given to another process since."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
