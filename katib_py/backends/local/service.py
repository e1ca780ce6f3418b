"""A gRPC service of ours as a process: started, awaited until it listens, and asked what went wrong."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from katib_py.core.errors import ServiceUnavailable

LISTENING: Final = "listening on "
START_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 0.02


async def start_service(
    module: str, arguments: Sequence[str], pipe: int, log: Path, secret: Mapping[str, str] = MappingProxyType({})
) -> tuple[subprocess.Popen[bytes], str]:
    """Start `python -m module` in a session of its own; the process, and the address that it says it listens on.

    The process inherits `pipe`, and what it says goes to `log`: a pipe of ours would break when we end before it.
    `secret` is what only its environment tells it: everybody may see its arguments.
    Raises ServiceUnavailable with the last line of the log, or with the path that cannot be written.
    """
    command = [sys.executable, "-m", module, *arguments, "--parent-pipe", str(pipe)]
    with _opened(log, module) as file:
        begin = file.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, **secret},
            pass_fds=(pipe,),
            start_new_session=True,
        )
    deadline = asyncio.get_running_loop().time() + START_SECONDS
    while (address := _address(log, begin, process.pid)) is None:
        late = asyncio.get_running_loop().time() > deadline
        if process.poll() is not None or late:
            process.kill()
            process.wait()
            raise ServiceUnavailable(f"{module} did not start: {_last_line(log, begin)}")
        await asyncio.sleep(LOOK_SECONDS)
    return process, address


def _opened(log: Path, module: str) -> BinaryIO:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        return open(log, "ab")
    except OSError as error:
        raise ServiceUnavailable(f"{module} did not start: {log} cannot be written: {error.strerror}") from error


def _address(log: Path, begin: int, pid: int) -> str | None:
    """Engines that start at the same moment share the log: only the line of this process counts."""
    whose = f" (pid {pid})\n"
    for line in _said(log, begin):
        if line.startswith(LISTENING) and line.endswith(whose):
            return line.removeprefix(LISTENING).removesuffix(whose)
    return None


def _last_line(log: Path, begin: int) -> str:
    lines = [line.strip() for line in _said(log, begin) if line.strip()]
    return lines[-1] if lines else f"it said nothing; see {log}"


def _said(log: Path, begin: int) -> list[str]:
    with open(log, "rb") as file:
        file.seek(begin)
        return file.read().decode(errors="replace").splitlines(keepends=True)
