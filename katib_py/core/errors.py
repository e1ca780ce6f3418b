"""Every error that katib-py raises on purpose.

KatibError
├── InvalidInput           what the user gave cannot be used: all problems at once
│   └── Rejected           the algorithm's own service says so
├── NotFound               no such object
├── Conflict               somebody else changed it first: look again
├── Held                   another engine drives this experiment
├── StoreUnavailable       the store cannot be reached
├── ServiceUnavailable     a suggestion or early stopping service does not answer
└── RenderError            a trial template and an assignment do not fit together
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

MANY: Final = 100
# Where the next of several problems begins in the words of an InvalidInput, as a service gives them.
NEXT: Final = re.compile(r"; (?=spec\.[^\s:;]+: )")
FIELD: Final = re.compile(r"(spec\.[^\s:;]+): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with an input: where it is, and what would be right.

    `path` is the field as the user writes it, such as `spec.parameters[0].feasibleSpace.min`.
    `severity` is "error" or "warning"; a warning never refuses an object.
    """

    path: str
    message: str
    severity: str = "error"

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class KatibError(Exception):
    """Whatever katib-py raises on purpose."""


class InvalidInput(KatibError):
    """The input cannot be used; `problems` names every reason."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class Rejected(InvalidInput):
    """The algorithm's service refuses the experiment."""


class NotFound(KatibError):
    """No such object."""


class Conflict(KatibError):
    """Somebody else changed the object first; look again."""


class Held(KatibError):
    """Another engine drives this experiment."""


class StoreUnavailable(KatibError):
    """The store cannot be reached."""


class ServiceUnavailable(KatibError):
    """A suggestion or early stopping service does not answer."""


class RenderError(KatibError):
    """A trial template and an assignment do not fit together."""


def problems_told(words: str, path: str) -> Iterator[Problem]:
    """What a service said, one problem for each field that it names; at `path` where it names none."""
    for told in NEXT.split(words):
        named = FIELD.fullmatch(told)
        yield Problem(named[1], named[2]) if named else Problem(path, told)


def limited(problems: Iterable[Problem]) -> Iterator[Problem]:
    """At most MANY warnings, and errors until there are MANY, the last of which says that there are more."""
    errors = warnings = 0
    for problem in problems:
        if problem.severity != "error":
            warnings += 1
            if warnings <= MANY:
                yield problem
            continue
        if errors == MANY:
            yield Problem("", f"has more than these {MANY} problems")
            return
        errors += 1
        yield problem


def show(value: Any, limit: int = 80) -> str:
    """The offending value as an error message shows it: quoted, and cut when long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def listed(names: Iterable[object], limit: int = 12) -> str:
    """Names as an error message lists them: the first ones, and how many more there are."""
    every = [str(name) for name in names]
    more = f" and {len(every) - limit} more" if len(every) > limit else ""
    return ", ".join(every[:limit]) + more
