"""One experiment between two looks at the store: its board, its search, its runs, and what to write about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.journal import Journal
from katib_py.controller.lifecycle import Lifecycle
from katib_py.controller.platform import Platform
from katib_py.controller.ports import EventType, Key
from katib_py.controller.search import Reply, Search, Wanted, active_trials
from katib_py.controller.warm_start import priors_of
from katib_py.core.actions import Action, Ask, Confirm, CreateTrial, Finish, Restart, SetCondition, StopTrial
from katib_py.core.confirm import Repeat, repeat_of, repeated
from katib_py.core.early_stopping import STOPPERS, Standing, parse_stopper
from katib_py.core.errors import StoreUnavailable, show
from katib_py.core.names import is_object_name, trial_name
from katib_py.core.reconcile import reconcile, restartable
from katib_py.core.trial import Assignment, TrialRecord, Waiting

REFRESH_SECONDS: Final = 1.0  # how often the spec is looked up
PAGE: Final = 100  # finished trials that are read at a time


class Outcome(StrEnum):
    """Why the loop came to its end."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    DELETED = "deleted"


class Drive:
    """Takes turns: `look`, then `write`, then `act`, which relies on what was written."""

    def __init__(
        self, platform: Platform, board: Board, search: Search, lifecycle: Lifecycle, wake: asyncio.Event
    ) -> None:
        self.board = board
        self.journal = Journal(platform.store)
        self._platform = platform
        self._search = search
        self._lifecycle = lifecycle
        self._wake = wake
        self._interrupted = False
        self._refreshed = platform.clock.now()
        self._wanted: Wanted | None = None
        self._short_at: int | None = None
        self._trouble = ""

    @classmethod
    async def begin(cls, platform: Platform, key: Key, wake: asyncio.Event) -> Drive:
        """Build everything from the store; raises NotFound, StoreUnavailable, InvalidInput."""
        board = Board.build(key, await platform.store.load(key), [])
        past = Past(platform, board)
        async for trial in past.finished():
            board.tally.add(trial)
        search = Search(platform.suggesters, board.experiment, past.all_searched, wake.set, board.tally.searched)
        search.describe(board.experiment, board.suggestion.settings)
        lifecycle = Lifecycle(board, platform, await past.early_stopping())
        await lifecycle.recall()
        now = platform.clock.now()
        board.status.begin(now)
        board.status.suspend(board.experiment.spec.suspend, now)
        return cls(platform, board, search, lifecycle, wake)

    @property
    def asking(self) -> bool:
        """Whether the suggestion service is being asked at this moment."""
        return self._search.busy

    async def close(self) -> None:
        """Give up what is under way."""
        await self._search.close()

    async def validate(self) -> None:
        """Have the service check the experiment; raises InvalidInput where it refuses it."""
        board = self.board
        over = board.verdict is not None and not restartable(board.snapshot(self._platform.clock.now(), False))
        if over or board.experiment.spec.suspend or self._platform.closing:
            return  # nothing is going to be asked
        await self._start_warm()
        await self._search.validate()
        board.ask_ahead = self._search.ask_ahead

    async def _start_warm(self) -> None:
        """Have the algorithm know what earlier experiments found, if it is to."""
        if not self.board.experiment.spec.warm_start:
            return
        priors = await priors_of(self.board, self._platform.store)
        self._search.begin_from(priors.trials)
        for note in priors.notes:
            self.journal.tell(self.board, EventType.WARNING, ("WarmStart", note), self._platform.clock.now())

    async def look(self, now: float, interrupted: bool) -> Outcome | None:
        """Take in what is new and decide; why the loop is at its end, if it is.

        May be called again after StoreUnavailable: nothing is lost or taken in twice.
        """
        self._interrupted = interrupted
        try:
            await self._refresh(now)
            await self._lifecycle.take_reports(self.journal.change, now)
        except StoreUnavailable as error:
            self._trouble = str(error)
            raise
        self._trouble = ""
        self._take_reply()
        self._learn()
        self._wanted = None
        for action in self._affordable(reconcile(self.board.snapshot(now, interrupted))):
            self._perform(action, now)
        self._ask()
        outcome = self._outcome()
        if outcome is not None:
            # Until somebody runs it again, its time stands still.
            self.board.status.suspend(outcome is not Outcome.FINISHED, now)
            self.journal.status_changed()
        return outcome

    async def write(self, now: float) -> None:
        """Write down what is due; raises Conflict, NotFound, StoreUnavailable, after which it may be called again."""
        self._note_waiting(now)
        written = await self.journal.write(self.board, now)
        if written:
            self._lifecycle.forget_recorded()
        await self._lifecycle.tell_pushing(written.trials.values())

    # Looking

    async def _refresh(self, now: float) -> None:
        """See whether somebody else changed the spec."""
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        stored = await self._platform.store.refresh(self.board.key, self.board.generation)
        if stored is not None:
            self.board.experiment, self.board.generation = stored.experiment, stored.generation
            self.board.status.suspend(stored.experiment.spec.suspend, now)
            self._search.describe(stored.experiment, self.board.suggestion.settings)
            self.journal.status_changed()

    def _learn(self) -> None:
        for trial in self.board.finished_now:
            if repeat_of(trial.assignment) is None:
                self._search.learn(trial)
        self.board.finished_now.clear()

    def _take_reply(self) -> None:
        reply = self._search.reply()
        if reply is None:
            return
        board, change = self.board, self.journal.change
        old = board.suggestion
        if reply.failed or reply.ended:
            board.suggestion = change.suggestion = replace(old, ended=reply.ended, failed=reply.failed)
            return
        if len(reply.proposals) < reply.wanted.count:
            self._short_at = reply.wanted.finished
        if (wrong := self._wrong_name(reply)) is not None:
            board.suggestion = change.suggestion = replace(old, failed=f"it names a trial {show(wrong)}")
            return
        fresh = self._assignments(reply)
        board.unused.extend(fresh)
        if not change.assignments:
            change.assigned_before = old.assigned
        change.assignments.extend(fresh)
        settings = tuple({**dict(old.settings), **dict(reply.settings)}.items())
        if settings != old.settings:
            self._search.describe(board.experiment, settings)
        requests = reply.wanted.assigned + reply.wanted.count
        board.suggestion = change.suggestion = replace(
            old, requests=requests, assigned=old.assigned + len(fresh), settings=settings
        )

    def _wrong_name(self, reply: Reply) -> str | None:
        """A name from the service that no trial can have, or that another one has already."""
        taken = {*self.board.live, *(assignment.name for assignment in self.board.unused)}
        for name in (proposal.name for proposal in reply.proposals if proposal.name):
            if name in taken or not is_object_name(name):
                return name
            taken.add(name)
        return None

    def _assignments(self, reply: Reply) -> list[Assignment]:
        name, uid, first = self.board.key.name, self.board.uid, reply.wanted.assigned
        return [
            Assignment(
                proposal.name or trial_name(name, uid, index),
                index,
                proposal.parameters,
                proposal.labels,
                proposal.rules,
            )
            for index, proposal in enumerate(reply.proposals, first)
        ]

    # Deciding

    def _perform(self, action: Action, now: float) -> None:
        board, journal = self.board, self.journal
        match action:
            case Ask(total):
                self._want(total)
            case CreateTrial(assignment):
                self._create(assignment, now)
            case Confirm(repeats):
                self._repeat(repeats)
            case StopTrial(name, intent):
                self._lifecycle.tell_to_stop(name, intent, journal.change)
                journal.hurry()
            case SetCondition(kind, value, reason, message):
                board.status.set(kind, value, (reason, message), now)
                journal.status_changed()
            case Finish(succeeded, reason, message):
                board.status.finish(succeeded, reason, message, now)
                journal.tell(board, EventType.NORMAL if succeeded else EventType.WARNING, (reason, message), now)
                journal.status_changed()
            case Restart():
                board.status.restart(now)
                journal.tell(board, EventType.NORMAL, ("ExperimentRestarting", "Experiment is restarted"), now)
                journal.status_changed()
                self._wake.set()

    def _affordable(self, actions: Iterable[Action]) -> Iterator[Action]:
        """The actions without new trials beyond those that this turn may create: the next turn comes at once."""
        left = self._platform.new_trials(len(self.board.live))
        for action in actions:
            if self._platform.closing and isinstance(action, Ask | CreateTrial | Confirm | Restart):
                continue
            if not isinstance(action, CreateTrial):
                yield action
            elif left:
                left -= 1
                yield action
            else:
                self._wake.set()

    def _repeat(self, repeats: Sequence[Repeat]) -> None:
        """Assign repeats of trials; not while the service is asked, whose reply counts on from what is assigned now."""
        if self._search.busy:
            return
        board, change, old = self.board, self.journal.change, self.board.suggestion
        name, uid = board.key.name, board.uid
        trials = {leader.trial.name: leader.trial for leader in board.tally.leaders}
        fresh = [
            repeated(trials[repeat.trial], repeat.seed, trial_name(name, uid, index), index)
            for index, repeat in enumerate(repeats, old.assigned)
        ]
        board.unused.extend(fresh)
        if not change.assignments:
            change.assigned_before = old.assigned
        change.assignments.extend(fresh)
        assigned = old.assigned + len(fresh)
        board.suggestion = change.suggestion = replace(old, requests=max(old.requests, assigned), assigned=assigned)
        self._wake.set()

    def _create(self, assignment: Assignment, now: float) -> None:
        trial = TrialRecord(assignment, now)
        self.board.unused.remove(assignment)
        self.board.put(trial)
        self.journal.change.trials[trial.name] = trial
        self.journal.hurry()

    def _want(self, total: int) -> None:
        """Ask for more; after a short reply not before another trial has finished."""
        if self._short_at == self.board.tally.finished:
            return
        self._short_at = None
        board, assigned = self.board, self.board.suggestion.assigned
        aside = 0
        if board.experiment.spec.confirm is not None:
            pending = (*board.unused, *(trial.assignment for trial in board.live.values()))
            aside = board.tally.finished - board.tally.searched + sum(repeat_of(item) is not None for item in pending)
        self._wanted = Wanted(assigned, total - assigned, board.tally.finished, aside=aside)

    def _ask(self) -> None:
        """Ask while this turn is being written: a question relies on nothing that is stored."""
        if self._wanted is not None and not self._search.busy:
            live = [trial for trial in self.board.live.values() if repeat_of(trial.assignment) is None]
            unused = [item for item in self.board.unused if repeat_of(item) is None]
            active = active_trials(live, unused, self.board.experiment)
            self._search.ask(replace(self._wanted, active=active))

    def _note_waiting(self, now: float) -> None:
        board, old = self.board, self.board.waiting
        new = self._waits_for(now)
        if (new and new.message) != (old and old.message):
            board.waiting = new
            self.journal.status_changed()

    def _waits_for(self, now: float) -> Waiting | None:
        """What keeps the experiment from going on: its service, or what all of its trials wait for."""
        if self._trouble:
            return Waiting("StoreUnavailable", self._trouble, now)
        if self._search.trouble:
            return Waiting("SuggestionServiceNotReady", self._search.trouble, now)
        waits = [trial.waiting for trial in self.board.live.values()]
        return waits[0] if waits and all(waits) else None

    def _outcome(self) -> Outcome | None:
        """Why the loop is at its end, once no run is left."""
        board = self.board
        if not self._lifecycle.settled:
            return None
        if self._interrupted:
            return Outcome.INTERRUPTED
        if board.verdict is not None and not board.live:
            return Outcome.FINISHED
        if self._platform.closing:
            return Outcome.CLOSED
        return Outcome.SUSPENDED if board.verdict is None and board.experiment.spec.suspend else None

    # Acting

    def act(self, now: float) -> None:
        """Start and stop; everything that this relies on is stored."""
        board = self.board
        suspended = board.experiment.spec.suspend and board.verdict is None
        paused = self._interrupted or self._platform.closing or suspended
        self._lifecycle.start_missing(paused, self.journal.change, now)
        self._lifecycle.stop_told()


class Past:
    """What the store and the observation log know of an experiment's finished trials."""

    def __init__(self, platform: Platform, board: Board) -> None:
        self._platform = platform
        self._board = board

    async def finished(self) -> AsyncIterator[TrialRecord]:
        """Each of them, in order of finishing."""
        async for page in self._pages():
            for trial in page:
                yield trial

    async def all_searched(self) -> list[TrialRecord]:
        """All of them at once, without repeats."""
        return [trial async for trial in self.finished() if repeat_of(trial.assignment) is None]

    async def _pages(self) -> AsyncIterator[Sequence[TrialRecord]]:
        after = 0
        while page := await self._platform.store.finished(self._board.key, after, PAGE):
            yield page
            after += len(page)

    async def early_stopping(self) -> Standing | None:
        """The experiment's early stopping, knowing what the finished trials measured, in order of finishing."""
        spec = self._board.experiment.spec.early_stopping
        if spec is None or spec.algorithm_name not in STOPPERS:
            return None
        stopper = parse_stopper(spec).standing(self._board.objective)
        async for page in self._pages():
            attempts = [(self._board.trial_uid(trial), trial.attempt) for trial in page]
            for trial, items in zip(page, await self._platform.observations.read(attempts), strict=True):
                stopper.begin(trial.name)
                for item in items:
                    if item.metric == stopper.metric:
                        stopper.measured(trial.name, item.value)
                stopper.finished(trial.name, trial.state)
        return stopper
