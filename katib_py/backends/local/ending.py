"""Ending a run and everything that it started."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Collection
from typing import Final

from katib_py.backends.local import scan
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.process import RunProcess
from katib_py.backends.local.scan import Mark

LOOK_SECONDS: Final = 0.02
GIVE_UP_SECONDS: Final = 10.0  # a process that survives SIGKILL for so long hangs in the kernel


async def end(process: RunProcess, mark: Mark, grace: float, reason: str, but: Collection[str] = ()) -> None:
    """Ask the run to end, force it after `grace` seconds, and return when nothing of it is left.

    A run that ends by itself before it is asked keeps its own verdict: no marker is left in its folder then. `but`: the
    folders of processes beside the run that have more time.
    """
    folder = RunFolder(mark.folder)
    if not process.alive or folder.exit_status() is not None:
        return
    deadline = time.monotonic() + grace
    folder.tell_to_stop(reason)
    below = await asyncio.to_thread(scan.descendants, process.pid)
    process.signal(signal.SIGTERM)
    scan.send(below, signal.SIGTERM)
    await _gone(process, deadline - time.monotonic())
    scan.send(below, signal.SIGKILL)
    process.signal(signal.SIGKILL)
    await sweep(mark, lambda: but)
    await _gone(process, GIVE_UP_SECONDS)


async def sweep(mark: Mark, alive: Callable[[], Collection[str]]) -> None:
    """Kill what bears the mark of a run in this folder or below it, unless that run is alive.

    `alive` gives the folders of runs to leave alone. It is asked after each look and before each kill, so a run that
    begins meanwhile is known by the time its process is seen; and only runs seen at the first look are swept.
    """
    deadline = time.monotonic() + GIVE_UP_SECONDS
    seen = await asyncio.to_thread(scan.marked, mark)
    over = {run for run, _ in seen} - set(alive())
    while over and time.monotonic() < deadline:
        kept = alive()
        left = [process for run, process in seen if run in over and run not in kept]
        if not left:
            return
        scan.send(left, signal.SIGKILL)
        await asyncio.sleep(LOOK_SECONDS)
        seen = await asyncio.to_thread(scan.marked, mark)


async def _gone(process: RunProcess, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while process.alive and time.monotonic() < deadline:
        await asyncio.sleep(LOOK_SECONDS)
