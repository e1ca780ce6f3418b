"""Finding what a run started, also what left its group."""

from __future__ import annotations

from collections.abc import Iterable

import psutil

from katib_py.backends.local.environment import ENV_RUN


def descendants(pid: int) -> list[psutil.Process]:
    """Every process below this one, at the moment of asking."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def marked(folder: str) -> list[tuple[str, psutil.Process]]:
    """Every process whose environment says that it belongs to the run of this folder or one below, and to which."""
    found = []
    for process in psutil.process_iter():
        try:
            run = process.environ().get(ENV_RUN, "")
        except (psutil.Error, OSError):
            continue
        if run == folder or run.startswith(f"{folder}/"):
            found.append((run, process))
    return found


def send(processes: Iterable[psutil.Process], number: int) -> None:
    """Signal those that are still there; psutil refuses a number that was given to another process since."""
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.Error:
            continue
