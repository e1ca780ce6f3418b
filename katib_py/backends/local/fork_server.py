"""Starts runs and is their parent: it writes down how each ended, also when the controller is gone by then.

Started by its path, without site-packages; it knows the standard library and nothing else. Orders come as lines of
JSON on the socket whose descriptor it is given, answers go back as lines of text: `started ID PID`, `ended ID`,
`failed ID WORDS`. When the socket has ended it stays until its last run has.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

SHELL = "/bin/sh"
CANNOT_RUN, NOT_FOUND = 126, 127  # as a shell says it
SIGNALLED = 128  # and the number of the signal
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Python ignores the last two; a program must not inherit that.
RESTORED = (*ENDING, signal.SIGPIPE, signal.SIGXFSZ)
# glibc, musl and macOS agree on these, except for the flag of a new session.
SETSIGDEF, SETSIGMASK = 0x04, 0x08
SETSID = 0x0400 if sys.platform == "darwin" else 0x80
ROOM = 1024  # more than any of them needs for attributes, actions and signal sets


def main() -> None:
    """Serve the orders of the controller at the other end of the socket."""
    for number in ENDING:
        signal.signal(number, lambda *_: None)
    become_subreaper(True)
    channel = socket.socket(fileno=int(sys.argv[1]))
    channel.set_inheritable(False)
    Server(channel).serve()


class Server:
    """Starts runs and tells when they are gone."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._heard = True
        self._runs: dict[int, tuple[int, str]] = {}  # pid: (the order's id, its claim)
        self._rest = b""
        self._identity = f"server {os.getpid()} {birth()}\n".encode()
        self._woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> None:
        """Until the socket and the last run have ended."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while self._heard or self._runs:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._reap()
            if self._channel.fileno() in ready and not self._read():
                poll.unregister(self._channel)
                self._heard = False

    def _read(self) -> bool:
        try:
            data = self._channel.recv(1 << 16)
        except ConnectionError:
            return False
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._start(json.loads(line))
        return bool(data)

    def _start(self, order: dict[str, Any]) -> None:
        """A claim is made before anything is run, and by one only."""
        try:
            claim = os.open(order["claim"], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            os.write(claim, self._identity)
            output = os.open(order["output"], os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
        except OSError as error:
            self._tell(f"failed {order['id']} {error.filename}: {error.strerror}")
            return
        try:
            pid = spawn(order["command"], order["env"], order["cwd"], output)
        except OSError as error:
            words = f"{error.filename}: {error.strerror}"
            os.write(output, f"{words}\n".encode(errors="surrogateescape"))
            os.write(claim, f"exit {NOT_FOUND if error.errno == errno.ENOENT else CANNOT_RUN}\n".encode())
            self._tell(f"failed {order['id']} {words}")
        else:
            os.write(claim, f"program {pid} {birth(pid)}\n".encode())
            self._runs[pid] = order["id"], order["claim"]
            self._tell(f"started {order['id']} {pid}")
        os.close(output)
        os.close(claim)

    def _reap(self) -> None:
        """Take the ends of runs, and of whatever they left to us."""
        while (end := next_end()) is not None:
            pid, status = end
            if pid in self._runs:
                number, claim = self._runs.pop(pid)
                end_run(pid, claim, status)
                self._tell(f"ended {number}")
            reap(pid)

    def _tell(self, words: str) -> None:
        try:
            self._channel.sendall(f"{words}\n".encode(errors="surrogateescape"))
        except OSError:
            self._heard = False


def end_run(pid: int, claim: str, status: int) -> None:
    """End what a run left in its group, whose number is not given away before, and write down how the run ended."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    try:
        descriptor = os.open(claim, os.O_APPEND | os.O_WRONLY)
    except OSError:
        return  # somebody deleted the experiment
    os.write(descriptor, f"exit {status}\n".encode())
    os.close(descriptor)


def next_end() -> tuple[int, int] | None:
    """A child that has ended, with its status as a shell counts it, and still to be reaped where the system can do so.

    If we are killed before its status is written down, whoever inherits it finds it as we did.
    """
    try:
        if hasattr(os, "waitid"):
            end = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if end is None:
                return None
            return end.si_pid, end.si_status if end.si_code == os.CLD_EXITED else SIGNALLED + end.si_status
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, shell_status(status)) if pid else None


def reap(pid: int) -> int | None:
    """The status of a child that has ended, as a shell counts it; None for any other process."""
    try:
        found, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return shell_status(status) if found else None


def shell_status(status: int) -> int:
    """What a shell makes of a wait status."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else SIGNALLED - code


def birth(pid: int | str = "self") -> str:
    """The kernel's own count of when the process began, which no change of the clock moves; empty where it has none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def become_subreaper(wanted: bool) -> None:
    """Have orphans below us left to us instead of init, where the kernel can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(36, ctypes.c_ulong(wanted), 0, 0, 0)


def spawn(command: list[str], env: dict[str, str], cwd: str, output: int) -> int:
    """Start the program in a session of its own with no signal blocked; its pid. Raises OSError with its filename.

    Text without `#!` is a shell's, as a shell would have it.
    """
    if not hasattr(LIBC, "posix_spawn_file_actions_addchdir_np"):
        return spawn_slowly(command, env, cwd, output)
    error = posix_spawn(command, env, cwd, output)
    if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
        error = posix_spawn([SHELL, *command], env, cwd, output)
    if isinstance(error, OSError):
        raise error
    return error


LIBC = ctypes.CDLL(None)


def posix_spawn(command: list[str], env: dict[str, str], cwd: str, output: int) -> int | OSError:
    """The pid. Python's own knows no working directory."""
    pid, actions = ctypes.c_int(), ctypes.create_string_buffer(ROOM)
    LIBC.posix_spawn_file_actions_init(actions)
    LIBC.posix_spawn_file_actions_addchdir_np(actions, os.fsencode(cwd))
    LIBC.posix_spawn_file_actions_addopen(actions, 0, b"/dev/null", os.O_RDONLY, 0)
    LIBC.posix_spawn_file_actions_adddup2(actions, output, 1)
    LIBC.posix_spawn_file_actions_adddup2(actions, output, 2)
    variables = strings([f"{name}={value}" for name, value in env.items()])
    program = os.fsencode(command[0])
    error = LIBC.posix_spawn(ctypes.byref(pid), program, actions, ATTRIBUTES, strings(command), variables)
    LIBC.posix_spawn_file_actions_destroy(actions)
    if error == 0:
        return pid.value
    return OSError(error, os.strerror(error), command[0] if os.path.isdir(cwd) else cwd)


def strings(texts: list[str]) -> Any:
    """A C array of them, with its end."""
    return (ctypes.c_char_p * (len(texts) + 1))(*map(os.fsencode, texts), None)


def attributes() -> Any:
    """A session of its own, the usual effects of signals, and none blocked."""
    made, default, blocked = (ctypes.create_string_buffer(ROOM) for _ in range(3))
    LIBC.posix_spawnattr_init(made)
    LIBC.sigemptyset(default)
    LIBC.sigemptyset(blocked)
    for number in RESTORED:
        LIBC.sigaddset(default, int(number))
    LIBC.posix_spawnattr_setsigdefault(made, default)
    LIBC.posix_spawnattr_setsigmask(made, blocked)
    LIBC.posix_spawnattr_setflags(made, ctypes.c_short(SETSID | SETSIGDEF | SETSIGMASK))
    return made


ATTRIBUTES = attributes()


def spawn_slowly(command: list[str], env: dict[str, str], cwd: str, output: int) -> int:
    """For C libraries that know no working directory either."""
    import subprocess

    child = subprocess.Popen(
        command,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
        close_fds=False,
    )
    child.returncode = 0  # we wait for the pid ourselves
    return child.pid


if __name__ == "__main__":
    main()
