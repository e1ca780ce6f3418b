"""posix_spawn that lets other threads run.

Python's own holds the interpreter's lock until the kernel has loaded the new program: half a millisecond, and ten times
that on a busy machine, in which no other trial would be served.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

# glibc and musl agree on these; attributes and signal sets are smaller than this in both.
SETSIGDEF: Final = 0x04
SETSIGMASK: Final = 0x08
SETSID: Final = 0x80
ROOM: Final = 1024


def spawn_session(
    program: str, arguments: Sequence[str], env: Mapping[str, str], restored: Iterable[signal.Signals]
) -> int:
    """Start a program in a session of its own; its pid.

    No signal is blocked in it and those of `restored` have their default effect. Raises OSError, and ValueError for
    text that no process can be given.
    """
    pid = ctypes.c_int()
    path, words, variables = _text(program), _strings(arguments), _strings(_variables(env))
    attributes = _attributes(tuple(restored))
    error = _libc().posix_spawn(ctypes.byref(pid), path, None, attributes, words, variables)
    if error:
        raise OSError(error, os.strerror(error), program)
    return pid.value


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


@cache
def _attributes(restored: tuple[signal.Signals, ...]) -> Any:
    libc, attributes = _libc(), ctypes.create_string_buffer(ROOM)
    default, blocked = ctypes.create_string_buffer(ROOM), ctypes.create_string_buffer(ROOM)
    libc.posix_spawnattr_init(attributes)
    libc.sigemptyset(default)
    libc.sigemptyset(blocked)
    for number in restored:
        libc.sigaddset(default, int(number))
    libc.posix_spawnattr_setsigdefault(attributes, default)
    libc.posix_spawnattr_setsigmask(attributes, blocked)
    libc.posix_spawnattr_setflags(attributes, ctypes.c_short(SETSID | SETSIGDEF | SETSIGMASK))
    return attributes


def _variables(env: Mapping[str, str]) -> Iterable[str]:
    for name, value in env.items():
        if not name or "=" in name:
            raise ValueError(f"illegal environment variable name {name!r}")
        yield f"{name}={value}"


def _strings(texts: Iterable[str]) -> Any:
    encoded = [*map(_text, texts), None]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def _text(text: str) -> bytes:
    encoded = os.fsencode(text)
    if b"\0" in encoded:
        raise ValueError("embedded null byte")
    return encoded
