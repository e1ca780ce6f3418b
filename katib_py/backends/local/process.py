"""A run's process: started through a few lines of sh, watched until it is gone, signalled as a group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import psutil

from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.spawning import spawn_session

SHELL: Final = "/bin/sh"
NAME: Final = "katib-run"
POLL_SECONDS: Final = 0.05  # where there is no pidfd

# Builtins only: every external command would cost as much as the shell itself.
# - The trap is a handler and not "ignore", so the program gets the default disposition while the shell lives on to
#   write the exit status.
# - set -C makes the claim exclusive: a start that comes after somebody gave it up runs nothing.
# - The braces let the shell's own remarks ("Terminated") go nowhere while the program's output is kept.
# - The last line ends whatever the program left in its group, as a container ends with its main process.
SCRIPT: Final = """\
trap : TERM INT HUP
exec </dev/null >/dev/null 2>&1
d=$1 c=$2 w=$3
shift 3
set -C
echo $$ >"$c" || exit
set +C
{ cd "$w" && "$@"; } >"$d/output" 2>&1
echo $? >"$d/exit"
kill -KILL 0
"""

# Python ignores these; a program must not inherit that.
RESTORED: Final = [signal.SIGPIPE, signal.SIGXFSZ]

_CAN_SPAWN: Final = os.uname().sysname == "Linux"


def spawn(folder: RunFolder, start: int, command: Sequence[str], cwd: str, env: Mapping[str, str]) -> int:
    """Start the command as number `start` in the folder, in a session of its own; its pid. Raises OSError."""
    arguments = [SHELL, "-c", SCRIPT, NAME, folder.path, folder.claim_path(start), cwd, *command]
    if _CAN_SPAWN:
        return spawn_session(SHELL, arguments, env, RESTORED)
    # The object is let go at once: the caller waits for the pid itself. What is inheritable is for the run to inherit,
    # as it does where it is spawned: the pipe by which a db-manager sees that somebody still reports.
    child = subprocess.Popen(arguments, env=env, start_new_session=True, close_fds=False)
    child.returncode = 0
    return child.pid


def is_run(pid: int, folder: RunFolder) -> bool:
    """Whether the process with this pid is the folder's run, and no later process that got its number."""
    try:
        arguments = psutil.Process(pid).cmdline()
    except psutil.Error:
        return False
    return arguments[3:5] == [NAME, folder.path]


class RunProcess:
    """The shell of one run; `on_end` is called once, when it is gone."""

    def __init__(self, pid: int, child: bool, on_end: Callable[[], None]) -> None:
        self.pid = pid
        self._child = child
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._descriptor: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.alive = True

    def watch(self) -> None:
        """Begin to wait for its end."""
        try:
            self._descriptor = os.pidfd_open(self.pid)
        except (AttributeError, ProcessLookupError, OSError):
            self._poll()
        else:
            self._loop.add_reader(self._descriptor, self._ended)

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if it is still there."""
        if self.alive:
            _signal_group(self.pid, number)

    def let_go(self) -> None:
        """Watch no longer; the run goes on."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._timer is not None:
            self._timer.cancel()

    def _poll(self) -> None:
        if self._gone():
            self._ended()
        else:
            self._timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def _gone(self) -> bool:
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.Error:
            return True

    def _ended(self) -> None:
        self.let_go()
        if self._child:
            # Until it is reaped its number is its own: whatever is left of the group is surely the run's.
            _signal_group(self.pid, signal.SIGKILL)
            _reap(self.pid)
        self.alive = False
        self._on_end()


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
