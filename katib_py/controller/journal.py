"""When to write what: others' needs at once, the rest when its time has come, never more than one write a turn."""

from __future__ import annotations

from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.ports import Change, Event, EventType, Store
from katib_py.core.errors import StoreUnavailable
from katib_py.core.status import dump_status
from katib_py.core.trial import TrialRecord, TrialState

STATUS_SECONDS: Final = 1.0  # at most one status write in this time, except when a condition changed
# A trial that only began to run waits so long for company; one that has ended by then is written once, not twice.
FLUSH_SECONDS: Final = 0.2


class Journal:
    """Collects the changes of a turn and commits them in one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.change = Change()
        self._urgent = False
        self._status_urgent = True
        self._status_stale = False
        self._status_written = 0.0
        self._flushed = 0.0

    @property
    def pending(self) -> bool:
        """Whether something waits to be written."""
        return bool(self.change) or self._status_stale

    def hurry(self) -> None:
        """Write this turn, whatever it is."""
        self._urgent = True

    def status_changed(self) -> None:
        """A condition or the budget changed: write the status this turn."""
        self._urgent = self._status_urgent = True

    def tell(self, board: Board, kind: EventType, texts: tuple[str, str], now: float) -> None:
        """Record an Event of the experiment."""
        self.change.events.append(Event("Experiment", board.key.name, kind, texts[0], texts[1], now))

    async def write(self, board: Board, now: float) -> Change:
        """Commit what is due and return it; raises Conflict, NotFound, and StoreUnavailable, which loses nothing."""
        if not self._due(now):
            return Change()
        change = self._take(now)
        self._status_stale = not (self._status_urgent or self._status_due(now))
        if not self._status_stale:
            change.status = dump_status(board.status, board.tally, board.live, board.waiting)
            self._status_written = now
        self._urgent, self._status_urgent, self._flushed = False, False, now
        try:
            board.stored(await self._store.commit(board.key, change))
        except StoreUnavailable:
            self._put_back(change)
            raise
        return change

    def _put_back(self, change: Change) -> None:
        """Keep what could not be written, for the next time."""
        change.status = None
        change.trials.update(self.change.trials)
        self.change = change
        self.status_changed()

    def _take(self, now: float) -> Change:
        """The change without the trials that wait for company, which stay for the next one."""
        change, self.change = self.change, Change()
        early = [trial for trial in change.trials.values() if not _presses(trial) and _just_began(trial, now)]
        for trial in early:
            self.change.trials[trial.name] = change.trials.pop(trial.name)
        return change

    def _status_due(self, now: float) -> bool:
        return now - self._status_written >= STATUS_SECONDS

    def _due(self, now: float) -> bool:
        change = self.change
        if self._urgent or change.assignments or change.suggestion is not None:
            return True
        if self._status_stale and self._status_due(now):
            return True
        if any(_presses(trial) for trial in change.trials.values()):
            return True
        if now - self._flushed < FLUSH_SECONDS:
            return False
        return bool(change.events) or any(not _just_began(trial, now) for trial in change.trials.values())


def _presses(trial: TrialRecord) -> bool:
    """Whether something is about to be done that relies on this record: all but "it runs now"."""
    return trial.state is not TrialState.RUNNING or trial.stop is not None


def _just_began(trial: TrialRecord, now: float) -> bool:
    return trial.started is not None and now - trial.started < FLUSH_SECONDS
