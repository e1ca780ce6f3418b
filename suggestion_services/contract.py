"""What an algorithm is: a frozen dataclass whose fields are its settings, and one function of a request."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Final, NamedTuple, Protocol, runtime_checkable

import numpy as np

from katib_py.core.errors import KatibError, Problem
from suggestion_services.arrays import Booleans, Floats, Integers, States
from suggestion_services.space import Space

# A trial's condition as the wire numbers it.
CREATED, RUNNING, SUCCEEDED, KILLED, FAILED, METRICS_UNAVAILABLE, EARLY_STOPPED, UNKNOWN = range(8)
ACTIVE: Final = frozenset({CREATED, RUNNING, UNKNOWN})

Labels = Mapping[str, str]
NO_LABELS: Final[Labels] = MappingProxyType({})
# The labels, by identity, of a trial of another experiment, from which this one starts (spec.warmStart).
PRIOR: Final[Labels] = MappingProxyType({})


class SearchEnded(KatibError):  # noqa: N818 - reads as what it says
    """The search has proposed all that it ever will."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials in canonical order, finished ones before active ones, each by start time and name.

    `losses` is the objective turned so that smaller is better; NaN where there is none. `further` has a column for each
    objective after the first, and `excess` one for each outcome constraint; None where there are none of them.
    """

    points: Floats
    losses: Floats
    states: States
    further: Floats | None = None
    excess: Floats | None = None

    @property
    def objectives(self) -> Floats:
        """Every objective, trials by objectives, smaller is better; NaN where one has no value."""
        first = self.losses[:, None]
        return first if self.further is None else np.hstack((first, self.further))

    @property
    def violations(self) -> Floats:
        """How far each outcome constraint is exceeded, relative to its bound; 0 where it holds, infinite if unknown."""
        return np.empty((len(self.losses), 0)) if self.excess is None else self.excess

    def where(self, *states: int) -> Trials:
        """The trials in one of these states."""
        return self.only(np.isin(self.states, states))

    def only(self, rows: Integers | Booleans) -> Trials:
        """These trials, in this order."""
        further = self.further[rows] if self.further is not None else None
        excess = self.excess[rows] if self.excess is not None else None
        return Trials(self.points[rows], self.losses[rows], self.states[rows], further, excess)

    def with_pending(self, points: Floats) -> Trials:
        """These trials, and points that have none yet."""
        count = len(points)
        states = np.full(count, CREATED, dtype=self.states.dtype)
        return self.followed_by(Trials(points, np.full(count, np.nan), states))

    def followed_by(self, others: Trials) -> Trials:
        """These trials and then the others, of the same search."""
        return Trials(
            np.concatenate((self.points, others.points)),
            np.concatenate((self.losses, others.losses)),
            np.concatenate((self.states, others.states)),
            _stacked(self.further, others.further),
            _stacked(self.excess, others.excess),
        )


def _stacked(one: Floats | None, other: Floats | None) -> Floats | None:
    return None if one is None or other is None else np.concatenate((one, other))


class Used(Protocol):
    """The points of every trial, as bytes of their rows."""

    def __contains__(self, row: bytes) -> bool: ...

    def __len__(self) -> int: ...

    def points(self, width: int) -> Floats:
        """All of them, one row each."""


class Marked(NamedTuple):
    """One trial with its name and what its suggestion was labelled with; the rest as in Trials.

    `excess` is by how much it exceeds the outcome constraints in all.
    """

    name: str
    labels: Labels
    point: Floats
    loss: float
    state: int
    excess: float = 0.0


class History(Protocol):
    """The trials of a request, put together when an algorithm wants them."""

    def trials(self) -> Trials:
        """All trials whose values are in the space."""

    def labels(self) -> Sequence[Labels]:
        """What the suggestions of `trials()` were labelled with, in the same order."""

    def marked(self) -> Sequence[Marked]:
        """Every trial in the same order, those without a point of the space too: their points have NaN."""

    def used(self) -> Used:
        """The points that trials have."""


@dataclass(frozen=True)
class Request:
    """What a suggestion is a function of. `asked` counts the assignments proposed before, `count` those wanted now.

    `initial` are the points that the user wants tried first; `Distinct` proposes them before any other.
    """

    space: Space
    seed: int
    asked: int
    count: int
    history: History
    active: int = 0
    max_trials: int = 0
    initial: tuple[Floats, ...] = ()

    @cached_property
    def trials(self) -> Trials:
        """The trials in canonical order."""
        return self.history.trials()

    @cached_property
    def labels(self) -> Sequence[Labels]:
        """The labels of `trials`, in the same order."""
        return self.history.labels()

    def generator(self, index: int) -> np.random.Generator:
        """The randomness of the assignment number `index` of the experiment."""
        return np.random.default_rng((self.seed, index))


@dataclass(frozen=True, slots=True)
class Proposal:
    """One assignment; the labels come back with its trial, the name is empty unless the algorithm gives one."""

    parameters: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...] = ()
    trial_name: str = ""


class Algorithm(Protocol):
    """A search algorithm with its settings; what derives from it needs nothing but `suggest`.

    One that learns names what it takes into account beyond the single objective in a class variable `understands`, of
    the features of katib_py.core.extensions.
    """

    # Whether what is proposed depends on results; where it does not, callers may ask before they have room.
    learns: ClassVar[bool] = True
    # Katib's Go services pass over settings that they do not know; the others refuse them.
    ignores_unknown_settings: ClassVar[bool] = False

    @property
    def random_state(self) -> int | None:
        """The seed that the user gave."""
        return None

    def problems(self, space: Space, max_trials: int) -> Iterable[Problem]:
        """Why the space does not suit the algorithm; `max_trials` 0 is unlimited."""
        return ()

    def suggest(self, request: Request) -> list[Proposal]:
        """At most `request.count` assignments; fewer, or none, is an answer. Raises SearchEnded."""


@runtime_checkable
class Bookkeeping(Protocol):
    """An algorithm that has something to write into the Suggestion's status for its readers."""

    def bookkeeping(self, request: Request) -> Iterable[tuple[str, str]]:
        """Names and values of Suggestion.status.algorithmSettings; they come back as settings."""


def understood(algorithm: Algorithm) -> frozenset[str]:
    """What an algorithm that learns takes into account beyond the single objective."""
    return getattr(algorithm, "understands", frozenset())


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a setting's number must be; `at_least` and `at_most` are inclusive, `above` and `below` are not."""

    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    at_most: float | None = None

    def __str__(self) -> str:
        pairs = ((">=", self.at_least), (">", self.above), ("<", self.below), ("<=", self.at_most))
        return " and ".join(f"{sign} {bound:g}" for sign, bound in pairs if bound is not None)

    def hold(self, value: float) -> bool:
        """Whether the number is inside; NaN and infinity never are."""
        return (
            abs(value) < float("inf")
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )


def setting(default: Any, doc: str, bounds: Bounds | None = None, aliases: tuple[str, ...] = ()) -> Any:
    """A field of an algorithm that the user sets in algorithmSettings; the field's type is int or float."""
    metadata = {"doc": doc, "bounds": bounds or Bounds(), "aliases": aliases}
    return dataclasses.field(default=default, metadata=metadata)


def word(default: str, doc: str, words: tuple[str, ...]) -> Any:
    """A field of an algorithm that the user sets to one of these words; the field's type is str."""
    return dataclasses.field(default=default, metadata={"doc": doc, "words": words, "aliases": ()})


def text(default: str, doc: str) -> Any:
    """A field of an algorithm that the user sets to a name or path; the field's type is str."""
    return dataclasses.field(default=default, metadata={"doc": doc, "aliases": ()})


def rest(doc: str) -> Any:
    """A field that takes all settings that no other field takes, as pairs of texts."""
    return dataclasses.field(default=(), metadata={"doc": doc, "rest": True, "aliases": ()})


def random_state() -> Any:
    """The setting that most algorithms share."""
    return setting(None, "seed of the search; by default the experiment's uid is", Bounds(at_least=0))
