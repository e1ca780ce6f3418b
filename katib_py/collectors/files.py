"""A file of lines, read while it grows: a run's output or its own metrics file."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from katib_py.collectors.collector import Heard
from katib_py.collectors.lines import Line, LineSplitter
from katib_py.core.objective import Measurement

CHUNK: Final = 1 << 18
MOST: Final = 1 << 22  # bytes in one reading, so that one talkative run does not hold up the others


class Format(Protocol):
    """How a line is read."""

    def parse(self, line: Line, now: datetime, heard: Heard) -> list[Measurement]:
        """The measurements of a line."""


class FileCollector:
    """Follows one file by name; it need not exist yet. A measurement's position is its place in bytes.

    A file that was replaced or has shrunk is read anew, and its places counted on from where the old one ended.
    """

    def __init__(self, path: Path, format: Format) -> None:
        self._path = path
        self._format = format
        self._lines = LineSplitter()
        self._heard = Heard()
        self.behind = False
        self._base = 0  # the position of the file's first byte
        self._inode: int | None = None

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the file that look like metrics."""
        return self._heard.names

    def read(self, now: datetime, final: bool = False) -> list[Measurement]:
        """The measurements of the lines that were ended since; with `final` the last line needs no end."""
        found: list[Measurement] = []
        self.behind = False
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._heard.once("unreadable", f"{self._path} cannot be read: {error.strerror}")
        else:
            try:
                found = self._read(descriptor, now, final)
            finally:
                os.close(descriptor)
        if final:
            for line in self._lines.finish():
                found += self._format.parse(line, now, self._heard)
        return found

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._heard.notes()

    def _read(self, descriptor: int, now: datetime, final: bool) -> list[Measurement]:
        found: list[Measurement] = []
        if not self._look(os.fstat(descriptor)):
            return found
        stop = self._lines.end + MOST
        while final or self._lines.end < stop:
            chunk = os.pread(descriptor, CHUNK, self._lines.end - self._base)
            for line in self._lines.feed(chunk):
                found += self._format.parse(line, now, self._heard)
            if len(chunk) < CHUNK:
                return found
        self.behind = True
        return found

    def _look(self, status: os.stat_result) -> bool:
        """Whether there is anything to read."""
        if not stat.S_ISREG(status.st_mode):
            self._heard.once("kind", f"{self._path} is no regular file; nothing is read from it")
            return False
        replaced = self._inode is not None and self._inode != status.st_ino
        self._inode = status.st_ino
        if replaced or status.st_size < self._lines.end - self._base:
            self._heard.once("replaced", f"{self._path} was written anew; it is read again from its beginning")
            self._base = self._lines.end
            self._lines = LineSplitter(self._base)
        return status.st_size > self._lines.end - self._base
