"""The trials of a request: as Katib sends them, all of them each time, or as ours come, a delta on a known prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from katib_py.core.errors import KatibError
from katib_py.wire import api, history
from suggestion_services.arrays import Booleans, Floats, Integers
from suggestion_services.columns import Columns, Order
from suggestion_services.contract import ACTIVE, PRIOR, Labels, Marked, Trials
from suggestion_services.search import Batch, Search
from suggestion_services.split import parse_trials

DIGEST_BYTES = 16


class HistoryUnknown(KatibError):  # noqa: N818 - reads as what it says
    """The service lacks the finished trials that the caller takes for known; all of them are wanted."""


class UsedPoints:
    """The rows of finished trials, and those of active ones."""

    def __init__(self, finished: set[bytes], active: Floats) -> None:
        self._finished = finished
        self._active = {row.tobytes() for row in active} - finished

    def __contains__(self, row: bytes) -> bool:
        return row in self._active or row in self._finished

    def __len__(self) -> int:
        return len(self._finished) + len(self._active)

    def points(self, width: int) -> Floats:
        """All of them, one row each."""
        rows = np.frombuffer(b"".join([*self._finished, *self._active])).reshape(-1, width)
        return rows[~np.isnan(rows).any(axis=1)]


class DeltaHistory:
    """Finished trials in order of finishing, with the chain digest after each."""

    def __init__(self, width: int) -> None:
        self._columns = Columns(width)
        self._digests = bytearray()
        self._order = Order()
        self._used: set[bytes] = set()
        self._used_rows = 0

    def __len__(self) -> int:
        return len(self._columns)

    def accept(self, search: Search, prefix: api.HistoryPrefix, trials: Sequence[api.Trial]) -> DeltaView:
        """Take the finished ones of `trials` in after the prefix; raises HistoryUnknown where that is not held.

        What is held beyond the prefix, because its reply was lost, is dropped where it differs.
        """
        if prefix.count > len(self) or self._digest(prefix.count) != prefix.digest:
            raise HistoryUnknown(f"{len(self)} trials are held, not the {prefix.count} told of; send all of them")
        finished = [trial for trial in trials if trial.status.condition not in ACTIVE]
        active = [trial for trial in trials if trial.status.condition in ACTIVE]
        self._extend(search, prefix.count, finished)
        return DeltaView(self, search.read(active))

    def _extend(self, search: Search, at: int, finished: Sequence[api.Trial]) -> None:
        fresh, digest = bytearray(), self._digest(at)
        for trial in finished:
            digest = history.extend(digest, trial)
            fresh += digest
        held = self._digests[at * DIGEST_BYTES :]
        same = _common(held, fresh) // DIGEST_BYTES
        if at + same < len(self):
            self._truncate(at + same)
        self._columns.append(search.read(finished[same:]))
        self._digests += fresh[same * DIGEST_BYTES :]

    def _digest(self, count: int) -> bytes:
        return bytes(self._digests[(count - 1) * DIGEST_BYTES : count * DIGEST_BYTES]) if count > 0 else history.EMPTY

    def _truncate(self, count: int) -> None:
        self._columns = self._columns.only(np.arange(count))
        del self._digests[count * DIGEST_BYTES :]
        self._order, self._used, self._used_rows = Order(), set(), 0

    def ordered(self) -> Trials:
        """The finished trials in canonical order."""
        return self._columns.take(self._order.of(self._columns))

    def marked(self) -> list[Marked]:
        """The same with names and labels."""
        return self._columns.marked(self._order.of(self._columns))

    def labels(self) -> list[Labels]:
        """The labels of those that have a point of the space."""
        return self._columns.labels_of(self._order.of(self._columns))

    def used(self) -> set[bytes]:
        """The rows of the finished trials."""
        begin, self._used_rows = self._used_rows, len(self._columns)
        own = zip(self._columns.points(begin), self._columns.labels[begin:], strict=True)
        self._used.update(row.tobytes() for row, labels in own if labels is not PRIOR)
        return self._used

    @property
    def own(self) -> int:
        """How many trials are the experiment's own."""
        return sum(labels is not PRIOR for labels in self._columns.labels)


class DeltaView:
    """One request's trials: the held ones and its active ones."""

    def __init__(self, held: DeltaHistory, active: Batch) -> None:
        self._held = held
        self._active = active

    @property
    def active(self) -> int:
        """How many trials are active."""
        return len(self._active.keys)

    @property
    def count(self) -> int:
        """How many trials the experiment has."""
        return self._held.own + self.active

    def trials(self) -> Trials:
        """All trials whose values are in the space."""
        order = np.array(sorted(range(self.active), key=self._active.keys.__getitem__), dtype=np.int64)
        return _readable(self._held.ordered(), self._active.trials().only(order))

    def labels(self) -> list[Labels]:
        """The labels of all trials whose values are in the space."""
        active = self._columns()
        return [*self._held.labels(), *active.labels_of(Order().of(active))]

    def marked(self) -> list[Marked]:
        """Every trial, with its name and labels."""
        active = self._columns()
        return [*self._held.marked(), *active.marked(Order().of(active))]

    def _columns(self) -> Columns:
        active = Columns(self._active.points.shape[1])
        active.append(self._active)
        return active

    def used(self) -> UsedPoints:
        """The points that trials have."""
        return UsedPoints(self._held.used(), self._active.points)


class FullHistory:
    """Parsed trials by the digest of their bytes: of a request's trials only those that changed are parsed."""

    def __init__(self, width: int) -> None:
        self._columns = Columns(width)
        self._rows: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._columns)

    def accept(self, search: Search, trials: Sequence[bytes]) -> FullView:
        """The request's trials, given as the bytes of their messages."""
        digests = [hashlib.blake2b(raw, digest_size=DIGEST_BYTES).digest() for raw in trials]
        fresh = {digest: raw for digest, raw in zip(digests, trials, strict=True) if digest not in self._rows}
        self._columns.append(search.read(parse_trials(fresh.values())))
        self._rows.update(zip(fresh, range(len(self) - len(fresh), len(self)), strict=True))
        rows = np.array([self._rows[digest] for digest in digests], dtype=np.int64)
        view = FullView(self._columns, rows)
        if len(self) > 2 * len(rows) + 64:
            self._compact(rows)
        return view

    def _compact(self, rows: Integers) -> None:
        """Forget the rows of messages that have since changed."""
        kept = np.unique(rows)
        place = {int(row): index for index, row in enumerate(kept)}
        self._columns = self._columns.only(kept)
        self._rows = {digest: place[row] for digest, row in self._rows.items() if row in place}


class FullView:
    """One request's trials."""

    def __init__(self, columns: Columns, rows: Integers) -> None:
        self._columns = columns
        self._rows = rows
        self._is_active = np.isin(columns.take(rows).states, list(ACTIVE))

    @property
    def active(self) -> int:
        """How many trials are active."""
        return int(self._is_active.sum())

    @property
    def count(self) -> int:
        """How many trials the experiment has."""
        return len(self._own())

    def trials(self) -> Trials:
        """All trials whose values are in the space."""
        return _readable(self._sorted(~self._is_active), self._sorted(self._is_active))

    def labels(self) -> list[Labels]:
        """The labels of all trials whose values are in the space."""
        return self._columns.labels_of(self._all())

    def marked(self) -> list[Marked]:
        """Every trial, with its name and labels."""
        return self._columns.marked(self._all())

    def _all(self) -> Integers:
        return np.concatenate((self._canonical(~self._is_active), self._canonical(self._is_active)))

    def used(self) -> UsedPoints:
        """The points that trials have."""
        return UsedPoints(set(), self._columns.take(self._own()).points)

    def _own(self) -> Integers:
        labels = self._columns.labels
        return np.array([row for row in self._rows.tolist() if labels[row] is not PRIOR], dtype=np.int64)

    def _sorted(self, chosen: Booleans) -> Trials:
        return self._columns.take(self._canonical(chosen))

    def _canonical(self, chosen: Booleans) -> Integers:
        rows = sorted(self._rows[chosen].tolist(), key=self._columns.keys.__getitem__)
        return np.array(rows, dtype=np.int64)


def _readable(finished: Trials, active: Trials) -> Trials:
    """Both, without the trials that have no point of the space."""
    trials = finished.followed_by(active)
    inside: Booleans = ~np.any(np.isnan(trials.points), axis=1)
    return trials if inside.all() else trials.only(inside)


def _common(one: bytes | bytearray, other: bytes | bytearray) -> int:
    """How many bytes both begin with, in whole digests."""
    size = min(len(one), len(other))
    if one[:size] == other[:size]:
        return size
    for at in range(0, size, DIGEST_BYTES):
        if one[at : at + DIGEST_BYTES] != other[at : at + DIGEST_BYTES]:
            return at
    return size
