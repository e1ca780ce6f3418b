"""Starts runs: forks a shim for each, which is its parent and writes down how it ended, whoever lives by then.

Started by its path, without site-packages, so that a fork copies little; it knows the standard library and nothing
else. Orders come as lines of JSON on the socket whose descriptor it is given, answers go back as lines of text:
`started ID PID`, `ended ID`, `failed ID WORDS`. When the socket ends it ends too; the shims and their runs stay.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import select
import signal
import socket
import sys
from typing import Any

SHELL = "/bin/sh"
CANNOT_RUN, NOT_FOUND = 126, 127  # as a shell says it
SIGNALLED = 128  # and the number of the signal
ENDING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
# Python ignores the last two; a program must not inherit that.
RESTORED = [*ENDING, signal.SIGPIPE, signal.SIGXFSZ]


def main() -> None:
    """Serve the orders of the controller at the other end of the socket."""
    # Blocked here and in the shims, for ever: a signal for the group is the program's, and a shim outlives its program.
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    gc.disable()
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    Server(channel).serve()


class Server:
    """Forks shims and tells when they are gone."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._shims: dict[int, int] = {}
        self._rest = b""
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the socket ends."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._read():
                return

    def _read(self) -> bool:
        data = self._channel.recv(1 << 16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._start(json.loads(line))
        return bool(data)

    def _start(self, order: dict[str, Any]) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(f"failed {order['id']} {error.strerror}")
            return
        if pid == 0:
            self._become_shim(order)
        self._shims[pid] = order["id"]
        self._tell(f"started {order['id']} {pid}")

    def _become_shim(self, order: dict[str, Any]) -> None:
        try:
            signal.set_wakeup_fd(-1)
            for descriptor in (self._channel.fileno(), self._woken, self._wake):
                os.close(descriptor)
            shim(order)
        finally:
            os._exit(1)

    def _reap(self) -> None:
        while self._shims:
            pid, _ = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # A shim that was killed leaves its group; the number is not given away while the group is there.
            kill_group(pid)
            self._tell(f"ended {self._shims.pop(pid)}")

    def _tell(self, words: str) -> None:
        self._channel.sendall(f"{words}\n".encode())


def shim(order: dict[str, Any]) -> None:
    """Run the order's program in a session of its own, write its exit status, and end what it left in its group.

    The claim is a symbolic link to our pid and time of birth: made at once, whole, and by one only. A start that comes
    after somebody gave it up runs nothing.
    """
    os.setsid()
    try:
        os.symlink(f"{os.getpid()} {birth()}", order["claim"])
    except FileExistsError:
        return
    output = os.open(f"{order['folder']}/output", os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
    status = run(order, output)
    exit_file = os.open(f"{order['folder']}/exit", os.O_CREAT | os.O_WRONLY, 0o644)
    os.write(exit_file, f"{status}\n".encode())
    kill_group(os.getpid())


def run(order: dict[str, Any], output: int) -> int:
    """The program's exit status, as a shell counts it."""
    command = order["command"]
    try:
        os.chdir(order["cwd"])
        pid = spawn(command, order["env"], output)
    except OSError as error:
        os.write(output, f"{error.filename or command[0]}: {error.strerror}\n".encode(errors="surrogateescape"))
        return NOT_FOUND if error.errno == errno.ENOENT else CANNOT_RUN
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNALLED - code


def spawn(command: list[str], env: dict[str, str], output: int) -> int:
    """Start the program with no signal blocked; text without `#!` is a shell's, as a shell would have it."""
    for program in (command, [SHELL, *command]):
        try:
            return os.posix_spawn(
                program[0],
                program,
                env,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, output, 1),
                    (os.POSIX_SPAWN_DUP2, output, 2),
                ],
                setsigmask=[],
                setsigdef=RESTORED,
            )
        except OSError as error:
            if error.errno != errno.ENOEXEC or program is not command:
                raise
    raise AssertionError("unreachable")


def birth(pid: int | str = "self") -> str:
    """The kernel's own count of when the process began, which no change of the clock moves; empty where it has none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def kill_group(number: int) -> None:
    """Kill all that is left of the group."""
    try:
        os.killpg(number, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


if __name__ == "__main__":
    main()
