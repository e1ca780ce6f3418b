"""The observation log in memory, for the simulated platform and for tests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from katib_py.core.objective import Measurement
from katib_py.observations.log import Reported, Run


class _Kept(NamedTuple):
    number: int  # of arrival
    measurement: Measurement

    @property
    def key(self) -> tuple[int, str]:
        return self.measurement.position, self.measurement.metric


class MemoryLog:
    """The observation log of one process; not for several threads."""

    def __init__(self) -> None:
        self._arrived: dict[int, Reported] = {}
        self._attempts: dict[str, tuple[str, ...]] = {}
        self._kept: dict[tuple[str, str], list[_Kept]] = {}  # sorted by position and metric
        self._head = 0

    def append(self, rows: Iterable[tuple[Run, Sequence[Measurement]]]) -> None:
        """Record measurements that are not there yet."""
        for run, measurements in rows:
            for item in measurements:
                self._add(run, item)

    def read(self, trial_uid: str, attempt: str | None = None) -> list[Measurement]:
        """The measurements of an attempt, by default the last, in order of position."""
        if attempt is None:
            attempt = self._attempts.get(trial_uid, ("",))[-1]
        rows = self._kept.get((trial_uid, attempt), ())
        return [row.measurement for row in sorted(rows, key=lambda row: (row.measurement.position, row.number))]

    def since(self, cursor: int, trial_uids: Collection[str]) -> tuple[int, list[Reported]]:
        """What came after the cursor of these trials."""
        wanted = frozenset(trial_uids)
        rows = (self._arrived.get(number) for number in range(cursor + 1, self._head + 1))
        return self._head, [row for row in rows if row is not None and row.trial_uid in wanted]

    def delete(self, trial_uids: Iterable[str]) -> None:
        """Forget trials."""
        for uid in trial_uids:
            for attempt in self._attempts.pop(uid, ()):
                for row in self._kept.pop((uid, attempt)):
                    del self._arrived[row.number]

    def held(self) -> set[str]:
        """The uids of all trials that were reported and not deleted."""
        return set(self._attempts)

    def _add(self, run: Run, item: Measurement) -> None:
        rows = self._kept.get((run.trial_uid, run.attempt))
        if rows is None:
            rows = self._kept[run.trial_uid, run.attempt] = []
            self._attempts[run.trial_uid] = (*self._attempts.get(run.trial_uid, ()), run.attempt)
        new = _Kept(self._head + 1, item)
        place = bisect_left(rows, new.key, key=lambda row: row.key)
        if place < len(rows) and rows[place].key == new.key:
            return
        rows.insert(place, new)
        self._head = new.number
        self._arrived[new.number] = Reported(run.trial_uid, run.attempt, item)
