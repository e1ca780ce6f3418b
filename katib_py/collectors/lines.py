"""Bytes that arrive in pieces, turned into lines that know where they began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

LONGEST: Final = 1 << 20


class Line(NamedTuple):
    """A line without its end; `offset` is the place of its first byte. `cut`: it went on beyond the longest length."""

    offset: int
    text: bytes
    cut: bool = False


class LineSplitter:
    """Splits at LF, CR LF and CR (progress bars), the same however the bytes are chunked.

    Holds at most one line of the longest length; what a longer one has beyond it is dropped.
    """

    __slots__ = ("_length", "_longest", "_tail", "start")

    def __init__(self, offset: int = 0, longest: int = LONGEST) -> None:
        self.start = offset  # of the line that is not ended yet
        self._longest = longest
        self._tail = bytearray()
        self._length = 0  # of that line so far, the dropped part included

    @property
    def end(self) -> int:
        """The place after the last byte that was fed."""
        return self.start + self._length

    def feed(self, chunk: bytes) -> Iterator[Line]:
        """The lines that end in this chunk."""
        for piece in chunk.splitlines(keepends=True):
            if piece.endswith((b"\n", b"\r")):
                line = self._line(piece.rstrip(b"\r\n"))
                self.start += self._length + len(piece)
                self._clear()
                if line.text:
                    yield line
            else:
                room = self._longest - len(self._tail)
                self._tail += piece[: max(room, 0)]
                self._length += len(piece)

    def finish(self) -> Iterator[Line]:
        """The last line, when nothing will follow that could end it."""
        if self._length:
            line = self._line(b"")
            self.start += self._length
            self._clear()
            yield line

    def _line(self, rest: bytes) -> Line:
        text = bytes(self._tail) + rest if self._tail else rest
        return Line(self.start, text[: self._longest], self._length + len(rest) > self._longest)

    def _clear(self) -> None:
        if self._length:
            self._tail.clear()
            self._length = 0
