"""Measurements in TensorBoard event files, read while they grow.

An event file is a row of TFRecords: length (8 bytes), its checksum (4), an Event message, its checksum (4).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from katib_py.collectors.collector import Heard
from katib_py.collectors.events import Scalar, checksum, scalars
from katib_py.core.objective import Measurement, ObjectiveSpec
from katib_py.core.times import from_microseconds

HEADER: Final = struct.Struct("<QI")
FRAME: Final = HEADER.size + 4
LARGEST: Final = 1 << 24  # a longer record is an image or a graph, never a scalar
MOST: Final = 1 << 22  # bytes of one file in one reading


class EventFolder:
    """Follows every event file below a folder; neither needs to exist yet.

    A metric `name` is the tag of that name in any folder, `dir/name` also the tag `name` in a folder whose path ends in
    `dir`. `shown_as` is the path that the user wrote, where `folder` only stands for it. A measurement's position is
    made of its file's name and its place in that file.
    """

    def __init__(self, folder: Path, objective: ObjectiveSpec, shown_as: str = "") -> None:
        self._folder = folder
        self._objective = objective
        self._parts = PurePosixPath(shown_as or folder.as_posix()).parts
        self._heard = Heard()
        self._offsets: dict[str, int] = {}
        self.behind = False

    @property
    def seen(self) -> tuple[str, ...]:
        """Tags in the files."""
        return self._heard.names

    def read(self, now: datetime, final: bool = False) -> list[Measurement]:
        """The measurements of the records that were completed since, by time."""
        found: list[Measurement] = []
        self.behind = False
        for name in self._files():
            found += self._read_file(name, now, final)
        found.sort(key=lambda item: (item.time, item.position))
        return found

    def notes(self) -> list[str]:
        """What was odd since the last call."""
        return self._heard.notes()

    def _files(self) -> list[str]:
        """The event files' paths below the folder, in order of name: names begin with the time of their making."""
        names = [
            os.path.relpath(os.path.join(folder, file), self._folder)
            for folder, _, files in os.walk(self._folder)
            for file in files
            if "tfevents" in file
        ]
        return sorted(names)

    def _read_file(self, name: str, now: datetime, final: bool) -> list[Measurement]:
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            self._heard.once(name, f"{name} cannot be read: {error.strerror}")
            return []
        try:
            return list(self._measurements(name, _Records(descriptor, self._offsets.get(name, 0)), now, final))
        finally:
            os.close(descriptor)

    def _measurements(self, name: str, records: _Records, now: datetime, final: bool) -> Iterator[Measurement]:
        begin = records.offset
        # 22 bits tell the files apart and 40 the places in one; both stay the same however the files are found.
        file = (zlib.crc32(name.encode(errors="replace")) & 0x3FFFFF) << 40
        folders = (*self._parts, *PurePosixPath(name).parts[:-1])
        while (final or records.offset < begin + MOST) and (record := records.next()) is not None:
            for order, scalar in enumerate(scalars(record.data)):
                yield from self._matching(folders, scalar, now, file + record.offset + order)
        self._offsets[name] = records.offset
        self.behind |= not final and records.offset >= begin + MOST
        if records.broken and final:
            self._heard.once("broken", f"{name} is damaged at byte {records.offset}; the rest of it is not read")

    def _matching(
        self, folders: tuple[str, ...], scalar: Scalar, now: datetime, position: int
    ) -> Iterator[Measurement]:
        known = False
        for metric in self._objective.metric_names:
            if _matches(metric, folders, scalar.tag):
                known = True
                if metric == self._objective.objective_metric_name:
                    self._heard.satisfied()
                yield Measurement(metric, scalar.value, _time(scalar.wall_time) or now, position)
        if self._heard.curious and not known:
            self._heard.name(scalar.tag)


class _Record(NamedTuple):
    offset: int
    data: bytes


class _Records:
    """The complete records of an open file from an offset on; a half written one is left for later."""

    def __init__(self, descriptor: int, offset: int) -> None:
        status = os.fstat(descriptor)
        self._descriptor = descriptor
        self._size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        self.offset = offset
        self.broken = False  # or, on a network disk, not all there yet

    def next(self) -> _Record | None:
        """The next complete record; None where there is none yet, or none any more."""
        if self._size - self.offset < FRAME:
            return None
        header = os.pread(self._descriptor, HEADER.size, self.offset)
        length, check = HEADER.unpack(header)
        if checksum(header[:8]) != check:
            self.broken = True
            return None
        begin = self.offset
        if self._size - begin < length + FRAME:
            return None
        self.offset += length + FRAME
        return _Record(begin, os.pread(self._descriptor, length, begin + HEADER.size) if length <= LARGEST else b"")


def _matches(metric: str, folders: tuple[str, ...], tag: str) -> bool:
    """Whether the metric is the tag, or a folder's path and the tag in it."""
    if metric == tag:
        return True
    if not metric.endswith(f"/{tag}"):
        return False
    wanted = PurePosixPath(metric[: -len(tag) - 1]).parts
    return bool(wanted) and folders[-len(wanted) :] == wanted


def _time(seconds: float) -> datetime | None:
    try:
        return from_microseconds(round(seconds * 1_000_000))
    except (ValueError, OverflowError):
        return None
