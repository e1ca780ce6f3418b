"""What a collector is, and what it remembers of one attempt besides its measurements."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Protocol

from katib_py.core.objective import Measurement

MOST_NAMES: Final = 20


class Collector(Protocol):
    """Reads one attempt of one trial, step by step while it runs."""

    @property
    def behind(self) -> bool:
        """Whether the last reading left something for the next: each takes so much only, but for a final one."""

    def read(self, now: datetime, final: bool = False) -> list[Measurement]:
        """What is new; `now` is the time of what carries none. `final`: the program has ended, take what it left."""

    def notes(self) -> list[str]:
        """What was odd since the last call, in words; each kind of oddity is said once."""

    @property
    def seen(self) -> tuple[str, ...]:
        """Names in the output that look like metrics, for a trial whose objective never appears; at most 20."""


class Heard:
    """The names and oddities of one attempt's output, both bounded."""

    __slots__ = ("_names", "_new", "_said", "curious")

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._said: set[str] = set()
        self._new: list[str] = []
        self.curious = True  # until the objective has appeared or enough names are known

    def name(self, name: str) -> None:
        """A name that looks like a metric."""
        self._names[name[:100]] = None
        self.curious = len(self._names) < MOST_NAMES

    def satisfied(self) -> None:
        """The objective has appeared: nobody will ask for names."""
        self.curious = False

    def once(self, kind: str, words: str) -> None:
        """Note an oddity unless one of its kind was noted before."""
        if kind not in self._said:
            self._said.add(kind)
            self._new.append(words)

    def notes(self) -> list[str]:
        """What was noted since the last call."""
        new, self._new = self._new, []
        return new

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order of appearance."""
        return tuple(self._names)


def is_number(text: str) -> bool:
    """Whether the text is a number as programs print them: 0.5, -1e-3, nan, inf."""
    if not text.isascii() or "_" in text:
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True
