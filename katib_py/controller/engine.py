"""The loop: look at what is, decide with pure functions, write it down, act on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.journal import FLUSH_SECONDS, Journal
from katib_py.controller.lifecycle import Lifecycle, Render
from katib_py.controller.ports import Clock, EventType, Key, Observations, Runner, Store, Suggesters
from katib_py.controller.search import Reply, Search, Wanted, active_trials
from katib_py.core.actions import Action, Ask, CreateTrial, Finish, Restart, SetCondition, StopTrial
from katib_py.core.early_stopping import Standing, parse_stopper
from katib_py.core.errors import Conflict, InvalidInput, NotFound
from katib_py.core.names import trial_name
from katib_py.core.reconcile import reconcile
from katib_py.core.trial import Assignment, TrialRecord, Waiting

REFRESH_SECONDS: Final = 1.0  # how often the spec is looked up
PAGE: Final = 1000


class Outcome(StrEnum):
    """Why the loop came to its end."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    SUSPENDED = "suspended"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Platform:
    """The ports of one platform, and how it renders a trial's run."""

    store: Store
    runner: Runner
    suggesters: Suggesters
    observations: Observations
    clock: Clock
    render: Callable[[Board], Render]


class Engine:
    """Drives one experiment to its end.

    `wake` is set by the platform whenever something may have changed. `watch` is called once a turn with the board, for
    whoever shows progress.
    """

    def __init__(
        self, platform: Platform, key: Key, wake: asyncio.Event, watch: Callable[[Board], None] | None = None
    ) -> None:
        self._platform = platform
        self._key = key
        self._wake = wake
        self._watch = watch
        self._interrupted = False
        self._refreshed = 0.0
        self._ask: Wanted | None = None
        self._short_at: int | None = None

    def interrupt(self) -> None:
        """End the running trials, to be run again later, and return."""
        self._interrupted = True
        self._wake.set()

    async def run(self) -> Outcome:
        """Drive the experiment until it has ended; raises NotFound, InvalidInput, StoreUnavailable."""
        try:
            await self._look_anew()
            await self._validate()
            return await self._loop()
        finally:
            await self._close()

    async def _loop(self) -> Outcome:
        clock = self._platform.clock
        while True:
            self._wake.clear()
            try:
                outcome = await self._turn(clock.now())
            except Conflict:
                await self._look_anew()
                continue
            except NotFound:
                return Outcome.DELETED
            if outcome is not None:
                return outcome
            pause = FLUSH_SECONDS if self._journal.pending else REFRESH_SECONDS
            await clock.wait(self._wake, pause, self._search.busy)

    async def _turn(self, now: float) -> Outcome | None:
        board, journal = self._board, self._journal
        await self._refresh(now)
        await self._lifecycle.take_reports(journal.change, now)
        self._take_reply()
        self._learn()
        self._ask = None
        for action in reconcile(board.snapshot(now, self._interrupted)):
            self._perform(action, now)
        self._note_waiting(now)
        outcome = self._outcome()
        if outcome is not None:
            journal.status_changed()
        written = await journal.write(board, now)
        await self._lifecycle.tell_pushing(written.trials.values())
        if self._watch is not None:
            self._watch(board)
        if outcome is None:
            self._act(now)
        return outcome

    # Looking

    async def _look_anew(self) -> None:
        """Build everything from the store, as at start."""
        platform = self._platform
        stored = await platform.store.load(self._key)
        self._board = board = Board.build(self._key, stored, [])
        async for trial in self._every_finished():
            board.tally.add(trial)
        self._search = Search(
            platform.suggesters, board.experiment, self._finished_list, self._wake.set, board.tally.finished
        )
        self._search.describe(board.experiment, board.suggestion.settings)
        stopper = await self._stopper()
        self._lifecycle = Lifecycle(board, platform.runner, platform.observations, platform.render(board), stopper)
        self._journal = Journal(platform.store)
        now = platform.clock.now()
        board.status.begin(now)
        board.status.suspend(board.experiment.spec.suspend, now)

    async def _stopper(self) -> Standing | None:
        """The experiment's early stopping, knowing what the finished trials measured, in order of finishing."""
        spec = self._board.experiment.spec.early_stopping
        if spec is None:
            return None
        stopper = parse_stopper(spec).standing(self._board.objective)
        name = self._board.objective.objective_metric_name
        async for trial in self._every_finished():
            stopper.begin(trial.name)
            uid = self._board.trial_uid(trial.name)
            for item in await self._platform.observations.read(uid, trial.attempt):
                if item.metric == name:
                    stopper.measured(trial.name, item.value)
            stopper.finished(trial.name, trial.state)
        return stopper

    async def _every_finished(self) -> AsyncIterator[TrialRecord]:
        after = 0
        while page := await self._platform.store.finished(self._key, after, PAGE):
            for trial in page:
                yield trial
            after += len(page)

    async def _finished_list(self) -> list[TrialRecord]:
        return [trial async for trial in self._every_finished()]

    async def _validate(self) -> None:
        """Have the service check the settings: before the first trial a refusal is the user's to hear."""
        board = self._board
        if board.verdict is not None and not reconcile(board.snapshot(self._platform.clock.now(), False)):
            return
        try:
            await self._search.validate()
        except InvalidInput as error:
            if not board.tally.finished and not board.live:
                raise
            board.suggestion = replace(board.suggestion, failed=str(error))

    async def _refresh(self, now: float) -> None:
        """See whether somebody else changed the spec."""
        if now - self._refreshed < REFRESH_SECONDS:
            return
        self._refreshed = now
        stored = await self._platform.store.refresh(self._key, self._board.generation)
        if stored is not None:
            self._board.experiment, self._board.generation = stored.experiment, stored.generation
            self._board.status.suspend(stored.experiment.spec.suspend, now)
            self._search.describe(stored.experiment, self._board.suggestion.settings)
            self._journal.status_changed()

    def _learn(self) -> None:
        for trial in self._board.finished_now:
            self._search.learn(trial)
        self._board.finished_now.clear()

    def _take_reply(self) -> None:
        reply = self._search.reply()
        if reply is None:
            return
        board, change = self._board, self._journal.change
        old = board.suggestion
        if reply.failed or reply.ended:
            board.suggestion = change.suggestion = replace(old, ended=reply.ended, failed=reply.failed)
            return
        if len(reply.proposals) < reply.wanted.count:
            self._short_at = board.tally.finished
        fresh = self._assignments(reply)
        board.unused.extend(fresh)
        change.assignments.extend(fresh)
        change.assigned_before = old.assigned
        settings = tuple({**dict(old.settings), **dict(reply.settings)}.items())
        if settings != old.settings:
            self._search.describe(board.experiment, settings)
        requests = reply.wanted.assigned + reply.wanted.count
        board.suggestion = change.suggestion = replace(
            old, requests=requests, assigned=old.assigned + len(fresh), settings=settings
        )

    def _assignments(self, reply: Reply) -> list[Assignment]:
        name, uid, first = self._board.key.name, self._board.uid, reply.wanted.assigned
        return [
            Assignment(proposal.name or trial_name(name, uid, index), index, proposal.parameters, proposal.labels)
            for index, proposal in enumerate(reply.proposals, first)
        ]

    # Deciding

    def _perform(self, action: Action, now: float) -> None:
        board, journal = self._board, self._journal
        match action:
            case Ask(total):
                self._want(total)
            case CreateTrial(assignment):
                self._create(assignment, now)
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

    def _create(self, assignment: Assignment, now: float) -> None:
        trial = TrialRecord(assignment, now)
        self._board.unused.remove(assignment)
        self._board.put(trial)
        self._journal.change.trials[trial.name] = trial
        self._journal.hurry()

    def _want(self, total: int) -> None:
        """Ask for more after the commit; after a short reply not before another trial has finished."""
        if self._short_at == self._board.tally.finished:
            return
        self._short_at = None
        assigned = self._board.suggestion.assigned
        self._ask = Wanted(assigned, total - assigned, ())

    def _note_waiting(self, now: float) -> None:
        trouble, old = self._search.trouble, self._board.waiting
        if trouble == (old.message if old is not None else ""):
            return
        self._board.waiting = Waiting("SuggestionServiceNotReady", trouble, now) if trouble else None
        self._journal.status_changed()

    def _outcome(self) -> Outcome | None:
        """Why the loop is at its end, once no run is left."""
        board = self._board
        if not self._lifecycle.settled:
            return None
        if self._interrupted:
            return Outcome.INTERRUPTED
        if board.verdict is not None:
            return Outcome.FINISHED if not board.live else None
        return Outcome.SUSPENDED if board.experiment.spec.suspend else None

    # Acting

    def _act(self, now: float) -> None:
        """Start, stop and ask; everything that this relies on is stored."""
        board = self._board
        paused = self._interrupted or (board.experiment.spec.suspend and board.verdict is None)
        self._lifecycle.start_missing(paused, self._journal.change, now)
        self._lifecycle.stop_told()
        if self._ask is not None and not self._search.busy:
            active = active_trials(board.live.values(), board.unused, board.experiment)
            self._search.ask(replace(self._ask, active=active))

    async def _close(self) -> None:
        if hasattr(self, "_search"):
            await self._search.close()
        await self._platform.runner.close()
        await self._platform.suggesters.close()
