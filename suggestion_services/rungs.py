"""The rungs of brackets, rebuilt from the labels that a search's own suggestions carried."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from katib_py.core.names import LABELS_OF_ALGORITHMS
from suggestion_services.arrays import Floats
from suggestion_services.contract import ACTIVE, EARLY_STOPPED, KILLED, SUCCEEDED, Marked
from suggestion_services.fidelity import Ladder

# Configurations this close are one: a value is written, read and written again on the way from a trial to the next.
SAME_DECIMALS: Final = 9
# A trial that was killed says nothing of its configuration, so it is run again; one that is killed again has failed.
KILLED_TWICE: Final = 2


class Place(NamedTuple):
    """Where a trial belongs: the bracket that begins at level `base` in the cycle, and its level there."""

    cycle: int
    base: int
    level: int

    @property
    def rung(self) -> int:
        """How often its bracket was halved before."""
        return self.level - self.base


class Slot(NamedTuple):
    """A place that wants a trial: one that continues `parent`, or a new configuration."""

    place: Place
    parent: Marked | None = None


class Labels:
    """The label keys of one algorithm, in the manner of Katib's for PBT. A bracket has the papers' number.

    `scheduled`: its brackets have places for so many trials and are numbered as Hyperband's; else as ASHA's.
    """

    def __init__(self, algorithm: str, top: int, scheduled: bool) -> None:
        self.scheduled = scheduled
        self._top = top
        words = ("bracket", "rung", "cycle", "parent")
        self._bracket, self._rung, self._cycle, self._parent = (
            f"{algorithm}.{LABELS_OF_ALGORITHMS}/{word}" for word in words
        )
        # Thousands of trials share a few places.
        self._places: dict[tuple[str, str, str], Place | None] = {}

    def write(self, place: Place, parent: str) -> tuple[tuple[str, str], ...]:
        """The labels of a proposal for this place; `parent` is the trial that it continues, empty for none."""
        pairs = [(self._bracket, str(self._numbered(place.base))), (self._rung, str(place.rung))]
        pairs += [(self._cycle, str(place.cycle))] if place.cycle else []
        pairs += [(self._parent, parent)] if parent else []
        return tuple(pairs)

    def read(self, labels: Mapping[str, str]) -> tuple[Place, str] | None:
        """Place and parent of a trial with these labels; None where they are not this search's."""
        said = labels.get(self._bracket, ""), labels.get(self._rung, ""), labels.get(self._cycle, "0")
        if said not in self._places:
            self._places[said] = self._place(*said)
        place = self._places[said]
        return None if place is None else (place, labels.get(self._parent, ""))

    def _place(self, *said: str) -> Place | None:
        try:
            bracket, rung, cycle = map(int, said)
        except ValueError:
            return None
        base = self._numbered(bracket)
        inside = 0 <= base <= base + rung <= self._top and rung >= 0 and cycle >= 0
        return Place(cycle, base, base + rung) if inside else None

    def _numbered(self, base: int) -> int:
        """Hyperband numbers brackets by their halvings, ASHA by the halvings that they leave out; its own inverse."""
        return self._top - base if self.scheduled else base


@dataclass(slots=True)
class Rung:
    """The trials of one level of one bracket, in canonical order; `children` by the parent that they continue."""

    trials: list[Marked] = field(default_factory=list)
    children: dict[str, list[Marked]] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether one of them is still to end."""
        return any(trial.state in ACTIVE for trial in self.trials)

    @property
    def finished(self) -> int:
        """How many have an end that says something."""
        return sum(trial.state not in ACTIVE and trial.state != KILLED for trial in self.trials)

    def filled(self, size: int) -> int:
        """How many of so many places are taken; a killed trial frees its place, once for each."""
        killed = sum(trial.state == KILLED for trial in self.trials)
        return len(self.trials) - min(killed, size)

    def continues(self, parent: str) -> bool:
        """Whether the trial is continued here, or was as often as is tried."""
        children = self.children.get(parent, ())
        return len(children) >= KILLED_TWICE or any(child.state != KILLED for child in children)

    def ranked(self) -> list[Marked]:
        """Those with a result, the best first; failed trials are the worst and never go on."""
        return best_first(self.trials)


def best_first(trials: Iterable[Marked]) -> list[Marked]:
    """The trials with a result. One that was stopped early showed less than it has, so it comes after the others."""
    return sorted(filter(has_result, trials), key=lambda trial: (trial.state == EARLY_STOPPED, trial.loss))


def has_result(trial: Marked) -> bool:
    """Whether the trial says how good its configuration is; a configuration outside the space cannot go on."""
    measured = trial.state in {SUCCEEDED, EARLY_STOPPED} and trial.loss < math.inf
    return measured and not math.isnan(trial.point.sum())


class Rungs:
    """Every trial of a request at its place."""

    def __init__(self, trials: Iterable[Marked], ladder: Ladder, labels: Labels) -> None:
        self._rungs: dict[Place, Rung] = {}
        unknown: list[Marked] = []
        for trial in trials:
            known = labels.read(trial.labels)
            if known is not None:
                self._add(trial, *known)
            else:
                unknown.append(trial)
        if unknown:
            self._infer(unknown, ladder, labels.scheduled)

    def at(self, place: Place) -> Rung:
        """The rung at a place, empty where no trial is."""
        return self._rungs.get(place, EMPTY)

    def levels(self, cycle: int, base: int, top: int) -> Sequence[Rung]:
        """The rungs of one bracket, from its base up."""
        return [self.at(Place(cycle, base, level)) for level in range(base, top + 1)]

    def everywhere(self, level: int) -> list[Marked]:
        """The trials of a level in all brackets."""
        return [trial for place, rung in self._rungs.items() if place.level == level for trial in rung.trials]

    def started(self) -> list[Marked]:
        """The trials with which brackets began."""
        return [trial for place, rung in self._rungs.items() if place.rung == 0 for trial in rung.trials]

    def _add(self, trial: Marked, place: Place, parent: str) -> None:
        rung = self._rungs.get(place)
        if rung is None:
            rung = self._rungs[place] = Rung()
        rung.trials.append(trial)
        if parent:
            rung.children.setdefault(parent, []).append(trial)

    def _infer(self, trials: Iterable[Marked], ladder: Ladder, scheduled: bool) -> None:
        """Place trials whose labels the caller keeps to itself, as Katib's controller does.

        A configuration that ran one level below goes on from there; any other one begins a bracket of its own amount.
        """
        last: dict[bytes, tuple[str, Place]] = {}
        begun = Counter(place.base for place, rung in self._rungs.items() for _ in rung.trials if place.rung == 0)
        for trial in trials:
            level = ladder.level_of(trial.point)
            if level is None or np.isnan(trial.point).any():
                continue
            key = _key(ladder.without(trial.point))
            parent, before = last.get(key, ("", None))
            if before is not None and before.level == level - 1:
                place = before._replace(level=level)
            else:
                cycle = begun[level] // ladder.sizes(level)[0] if scheduled else 0
                parent, place = "", Place(cycle, level, level)
                begun[level] += trial.state != KILLED
            self._add(trial, place, parent)
            last[key] = trial.name, place


EMPTY: Final = Rung()


def _key(configuration: Floats) -> bytes:
    return (np.round(configuration, SAME_DECIMALS) + 0.0).tobytes()
