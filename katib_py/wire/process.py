"""A server as a process of somebody's: it says where it listens, and ends with whoever started it."""

from __future__ import annotations

import os
import sys
import threading


def announce(address: str, parent_pipe: int | None, ended: threading.Event) -> None:
    """Print the address, and set `ended` when nobody holds the other end of the pipe any more, if there is one."""
    # Whoever gave us a pipe reads this in a log that others may write to as well, so the line is written at once:
    # print() writes its end apart where Python does not buffer.
    whose = "" if parent_pipe is None else f" (pid {os.getpid()})"
    sys.stdout.write(f"listening on {address}{whose}\n")
    sys.stdout.flush()
    if parent_pipe is not None:
        threading.Thread(target=_await_end, args=(parent_pipe, ended), daemon=True).start()


def _await_end(descriptor: int, ended: threading.Event) -> None:
    while os.read(descriptor, 1 << 10):
        pass
    ended.set()
