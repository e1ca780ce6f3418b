"""Trials kept as columns: about half a kilobyte a trial of 20 parameters, names included."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suggestion_services.arrays import Floats, Integers
from suggestion_services.contract import Labels, Marked, Trials
from suggestion_services.search import Batch

# Growing by a fifth leaves little unused; each row is copied about five times.
GROWTH = 1.2
# More new trials than this are sorted in with all others at once.
FEW = 64


class Columns:
    """Rows that are only ever appended, so arrays once handed out stay as they are."""

    def __init__(self, width: int) -> None:
        self.keys: list[str] = []
        self.labels: list[Labels] = []
        self._further: Floats | None = None
        self._excess: Floats | None = None
        self._points = np.empty((0, width))
        self._losses = np.empty(0)
        self._states = np.empty(0, dtype=np.int8)

    def __len__(self) -> int:
        return len(self.keys)

    def append(self, batch: Batch) -> None:
        """Keep further trials."""
        begin, end = len(self), len(self) + len(batch.keys)
        if end > len(self._losses):
            room = max(end, int(GROWTH * begin) + 8)
            self._points = _grown(self._points, room)
            self._losses = _grown(self._losses, room)
            self._states = _grown(self._states, room)
        self._further = _filled(self._further, batch.further, begin, len(self._losses))
        self._excess = _filled(self._excess, batch.excess, begin, len(self._losses))
        self._points[begin:end] = batch.points
        self._losses[begin:end] = batch.losses
        self._states[begin:end] = batch.states
        self.keys.extend(batch.keys)
        self.labels.extend(batch.labels)

    def points(self, begin: int = 0) -> Floats:
        """The points of the trials from row `begin` on."""
        return self._points[begin : len(self)]

    def take(self, rows: Integers) -> Trials:
        """These trials, in this order."""
        further = self._further[rows] if self._further is not None else None
        excess = self._excess[rows] if self._excess is not None else None
        return Trials(self._points[rows], self._losses[rows], self._states[rows], further, excess)

    def labels_of(self, rows: Integers) -> list[Labels]:
        """The labels of these trials that have a point of the space, in this order."""
        inside = ~np.isnan(self._points[rows]).any(axis=1)
        return [self.labels[row] for row in (rows if inside.all() else rows[inside]).tolist()]

    def marked(self, rows: Integers) -> list[Marked]:
        """These trials with their names and labels, in this order."""
        kept = self.take(rows)
        names = (_name(self.keys[row]) for row in rows)
        labels = (self.labels[row] for row in rows)
        excess = repeat(0.0) if kept.excess is None else kept.excess.sum(axis=1).tolist()
        return list(map(Marked, names, labels, kept.points, kept.losses.tolist(), kept.states.tolist(), excess))

    def only(self, rows: Integers) -> Columns:
        """A copy with these rows alone."""
        copy = Columns(self._points.shape[1])
        kept = self.take(rows)
        keys, labels = [self.keys[row] for row in rows], [self.labels[row] for row in rows]
        copy.append(Batch(kept.points, kept.losses, kept.states, keys, labels, kept.further, kept.excess))
        return copy


class Order:
    """The canonical order of rows, kept up as rows are added."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows = array("q")

    def of(self, columns: Columns) -> Integers:
        """All rows of the columns, which have only grown since the last call."""
        begin, end = len(self._keys), len(columns)
        if end - begin > FEW:
            self._rows = array("q", sorted(range(end), key=columns.keys.__getitem__))
            self._keys = [columns.keys[row] for row in self._rows]
        else:
            for row in range(begin, end):
                place = bisect_right(self._keys, columns.keys[row])
                self._keys.insert(place, columns.keys[row])
                self._rows.insert(place, row)
        # A copy: an array that lends its memory cannot grow.
        return np.array(self._rows, dtype=np.int64)


def _name(key: str) -> str:
    return key.partition(" ")[2]


def _filled(values: Floats | None, more: Floats | None, begin: int, room: int) -> Floats | None:
    """The rows with more of them from `begin` on; None where a search has no such columns."""
    if more is None:
        return values
    values = np.empty((0, more.shape[1])) if values is None else values
    if len(values) < room:
        values = _grown(values, room)
    values[begin : begin + len(more)] = more
    return values


def _grown(values: NDArray[Any], room: int) -> NDArray[Any]:
    grown = np.empty((room, *values.shape[1:]), dtype=values.dtype)
    grown[: len(values)] = values
    return grown
