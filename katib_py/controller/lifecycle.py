"""The runs of an experiment's live trials: started, followed, measured, stopped and concluded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.platform import Platform
from katib_py.controller.ports import Change, Event, EventType, RunOrder, RunPhase, RunReport
from katib_py.core.conditions import Condition
from katib_py.core.confirm import repeat_of
from katib_py.core.early_stopping import Standing
from katib_py.core.errors import RenderError
from katib_py.core.objective import Measurement, Metric, ObservationFold, observe
from katib_py.core.stop_rules import RuleWatch
from katib_py.core.trial import StopIntent, StopKind, TrialRecord, TrialState, Waiting
from katib_py.core.verdict import RunEnd, conclude, vanished, why_unavailable

FOLLOW_SECONDS: Final = 0.5  # how often the log is asked for what others have reported
LISTEN_SECONDS: Final = 5.0  # how often runs are looked at that say nothing
SILENT_SECONDS: Final = 20.0  # a run that has not reported its objective by then is said to be waited for
SILENT: Final = "MetricNotSeen"
OVER: Final = frozenset({RunPhase.ENDED, RunPhase.LOST, RunPhase.ABSENT})


@dataclass(slots=True)
class LiveRun:
    """What is known of a running attempt beyond the trial's record.

    `known`: what an earlier engine recorded, as metric, position and value; reading it again tells nothing new.
    """

    order: RunOrder
    fold: ObservationFold
    rules: RuleWatch | None = None
    seen: set[str] = field(default_factory=set)
    known: frozenset[tuple[str, int, str]] = frozenset()

    def broken_rule(self, item: Measurement) -> str | None:
        """Why the rules that the trial was given end it with this measurement, if they do."""
        return self.rules.measured(item.metric, item.value) if self.rules is not None else None


Observed = Mapping[str, tuple[Metric, ...]]  # by trial


class Lifecycle:
    """Brings runs to what the trials' records say, and the records to what the runs are."""

    def __init__(self, board: Board, platform: Platform, stopper: Standing | None) -> None:
        template = board.experiment.spec.trial_template
        assert template is not None
        self._board = board
        self._runner = platform.runner
        self._observations = platform.observations
        self._render = platform.render(board)
        self._stopper = stopper
        self._success = Condition.parse(template.success_condition)
        self._failure = Condition.parse(template.failure_condition)
        self._retain = template.retain
        collector = board.experiment.spec.metrics_collector_spec
        self._reported = collector is not None and collector.kind in platform.reported
        self._sees = self._reported or platform.sees_output
        self._listened = 0.0
        self._followed = 0.0
        self._runs: dict[str, LiveRun] = {}
        self._absent: set[str] = set()
        self._over: list[str] = []
        self._unrecorded: list[RunReport] = []  # reports whose measurements are not in the log yet
        self._recorded: deque[RunReport] = deque()  # and those whose phase has not been taken in yet
        self._untold: deque[TrialRecord] = deque()
        self._cursor = 0
        self._loaded = frozenset(board.live)
        self._before: dict[str, tuple[int, Sequence[Measurement]]] = {}

    async def recall(self) -> None:
        """Look up what the log has of the live trials from before this engine, to be taken in with their runs."""
        if self._reported or not self._board.live:
            return  # what reports by itself is followed from its beginning
        trials = list(self._board.live.values())
        found = await self._observations.read([(self._board.trial_uid(trial), trial.attempt) for trial in trials])
        for trial, items in zip(trials, found, strict=True):
            self._before[trial.name] = trial.attempt, items

    @property
    def settled(self) -> bool:
        """Whether no trial has a run: nothing is under way, and what may have been there was looked for."""
        return not self._runs and all(name in self._absent for name in self._board.live)

    def start_missing(self, adopt_only: bool, change: Change, now: float) -> None:
        """Start, or take over, the run of every live trial that has none here; the records must be stored already.

        `adopt_only` starts nothing new; a trial that was told to stop is never started either.
        """
        if not adopt_only:
            self._absent.clear()
        for trial in list(self._board.live.values()):
            stored = trial.name not in change.trials
            if stored and trial.name not in self._runs and trial.name not in self._absent:
                self._start(trial, adopt_only or trial.stop is not None, change, now)

    def stop_told(self) -> None:
        """End the runs whose trials were told to stop; their records must be stored already."""
        for name in self._board.live.keys() & self._runs.keys():
            if self._board.live[name].stop is not None:
                self._runner.stop(name)

    def forget_recorded(self) -> None:
        """Let the runner forget the runs that are over; their ends are stored."""
        for name in self._over:
            self._runner.forget(name, self._retain)
        self._over.clear()

    async def take_reports(self, change: Change, now: float) -> None:
        """Take in what is new about the runs: measurements first, then what became of them.

        What could not be recorded or looked up is taken in the next time; raises StoreUnavailable.
        """
        self._unrecorded += [report for report in self._runner.reports() if self._current(report)]
        await self._record(self._unrecorded)
        for report in self._unrecorded:
            if report.measurements:
                self._measured(report.name, report.measurements, change)
        self._recorded.extend(self._unrecorded)
        self._unrecorded.clear()
        if self._reported and self._runs and now - self._followed >= FOLLOW_SECONDS:
            self._followed = now
            await self._follow(change)
        observed = await self._observed(self._recorded)
        while self._recorded:
            report = self._recorded.popleft()
            if self._current(report):
                self._phase(report, observed.get(report.name, ()), change, now)
        if self._sees and now - self._listened >= LISTEN_SECONDS:
            self._listened = now
            self._note_silence(change, now)

    def _note_silence(self, change: Change, now: float) -> None:
        """Say of trials that run and have not reported their objective that this is what they wait for."""
        objective = self._board.objective
        for name, run in list(self._runs.items()):
            trial = self._board.live[name]
            heard = objective.objective_metric_name in run.seen
            if trial.waiting is None:
                long = trial.state is TrialState.RUNNING and now - (trial.started or now) >= SILENT_SECONDS
                if long and not heard and trial.stop is None:
                    words = why_unavailable(objective, (), run.seen)
                    self._put(replace(trial, waiting=Waiting(SILENT, words, now)), change, now)
            elif heard and trial.waiting.reason == SILENT:
                self._put(replace(trial, waiting=None), change, now)

    def _start(self, trial: TrialRecord, adopt_only: bool, change: Change, now: float) -> None:
        try:
            document = self._render(trial)
        except RenderError as error:
            end = RunEnd(False, "TemplateError", str(error))
            self._put(conclude(trial, end, (), self._board.objective, now), change, now)
            return
        fresh = trial.name not in self._loaded
        attempt, items = self._before.pop(trial.name, (trial.attempt, ()))
        items = items if attempt == trial.attempt else ()
        position = items[-1].position if items else None
        order = RunOrder(trial, self._board.trial_uid(trial), document, adopt_only, fresh, position)
        objective, rules = self._board.objective, trial.assignment.rules
        watch = RuleWatch(rules, objective) if rules else None
        self._runs[trial.name] = run = LiveRun(order, ObservationFold(objective.metric_names), watch)
        if self._stopper is not None:
            self._stopper.begin(trial.name)
        run.known = frozenset((item.metric, item.position, item.value) for item in items)
        for item in items:
            self._take_in(run, item)
        self._runner.start(order)

    def _current(self, report: RunReport) -> bool:
        run = self._runs.get(report.name)
        return run is not None and run.order.trial.attempt == report.attempt

    async def _record(self, reports: list[RunReport]) -> None:
        rows = [(self._runs[report.name].order, report.measurements) for report in reports if report.measurements]
        if rows and not self._reported:
            await self._observations.append(rows)

    async def _follow(self, change: Change) -> None:
        by_uid = {run.order.trial_uid: run for run in self._runs.values()}
        self._cursor, rows = await self._observations.follow(self._cursor, list(by_uid))
        for uid, attempt, measurement in rows:
            run = by_uid[uid]
            if attempt == run.order.trial.attempt:
                self._measured(run.order.name, (measurement,), change)

    def _measured(self, name: str, measurements: tuple[Measurement, ...], change: Change) -> None:
        run = self._runs[name]
        for item in measurements:
            if (item.metric, item.position, item.value) in run.known:
                continue
            reason = self._take_in(run, item)
            if reason is not None and self._board.live[name].stop is None:
                self.tell_to_stop(name, StopIntent(StopKind.EARLY_STOPPED, reason), change)

    def _take_in(self, run: LiveRun, item: Measurement) -> str | None:
        """Why this measurement ends the run, if it does."""
        run.fold.add(item)
        run.seen.add(item.metric)
        return self._stop_reason(run.order.name, item) or run.broken_rule(item)

    def _stop_reason(self, name: str, item: Measurement) -> str | None:
        if self._stopper is None or repeat_of(self._board.live[name].assignment) is not None:
            return None  # what is repeated is compared by what it measures in the end
        if item.metric != self._stopper.metric:
            return None
        return self._stopper.measured(name, item.value)

    def tell_to_stop(self, name: str, intent: StopIntent, change: Change) -> None:
        """Note the decision to end a trial's run; `stop_told` acts on it once it is stored."""
        trial = replace(self._board.live[name], stop=intent)
        self._board.put(trial)
        change.trials[name] = trial

    async def tell_pushing(self, trials: Iterable[TrialRecord]) -> None:
        """Let the next report of every trial that was told to stop be answered with stop; raises StoreUnavailable."""
        if not self._reported:
            return
        self._untold += [trial for trial in trials if trial.stop is not None and not trial.state.finished]
        while self._untold:
            trial = self._untold[0]
            assert trial.stop is not None
            await self._observations.record_stop(self._board.trial_uid(trial), trial.attempt, trial.stop.message)
            self._untold.popleft()

    def _phase(self, report: RunReport, observation: tuple[Metric, ...], change: Change, now: float) -> None:
        trial, objective = self._board.live[report.name], self._board.objective
        for note in report.notes:
            change.events.append(Event("Trial", report.name, EventType.WARNING, "OddOutput", note, now))
        if report.phase is RunPhase.WAITING:
            self._waits(trial, report, change, now)
        elif report.phase is RunPhase.RUNNING:
            self._put(replace(trial, state=TrialState.RUNNING, started=trial.started or now, waiting=None), change, now)
        elif report.phase is RunPhase.ABSENT:
            self._nothing_there(trial, observation, change, now)
        elif report.phase is RunPhase.LOST:
            self._put(vanished(trial, observation, report.disrupted, report.detail, now), change, now)
        elif report.phase is RunPhase.ENDED:
            started = replace(trial, started=trial.started or now)
            self._put(conclude(started, self._end(report), observation, objective, now), change, now)

    def _waits(self, trial: TrialRecord, report: RunReport, change: Change, now: float) -> None:
        """Note what the run waits for; that its words have changed makes it no other wait."""
        old = trial.waiting
        if old is not None and (old.reason, old.message) == (report.reason, report.detail):
            return
        same = old is not None and old.reason == report.reason
        since = old.since if same and old is not None else now
        self._put(replace(trial, waiting=Waiting(report.reason, report.detail, since)), change, now)
        if not same:
            change.events.append(Event("Trial", trial.name, EventType.WARNING, report.reason, report.detail, now))

    def _nothing_there(self, trial: TrialRecord, observation: tuple[Metric, ...], change: Change, now: float) -> None:
        """No run was found: a trial told to stop for good has ended, any other waits for its start."""
        self._runs.pop(trial.name)
        if trial.stop is not None and trial.stop.kind is not StopKind.SUSPENDED:
            end = RunEnd(None, stopped=True)
            self._put(conclude(trial, end, observation, self._board.objective, now), change, now)
            return
        self._absent.add(trial.name)
        self._put(replace(trial, stop=None, state=TrialState.CREATED, waiting=None), change, now)

    async def _observed(self, reports: Iterable[RunReport]) -> Observed:
        """What the attempts that are over have measured, by trial; raises StoreUnavailable."""
        over = {report.name: report for report in reports if report.phase in OVER and self._current(report)}
        ended = [self._runs[name] for name in over]
        if not ended:
            return {}
        if not self._reported:
            await self._look_up([run for run in ended if self._board.objective.objective_metric_name not in run.seen])
            return {run.order.name: run.fold.metrics() for run in ended}
        names = self._board.objective.metric_names
        found = {}
        for run, items in zip(ended, await self._read(ended), strict=True):
            unreported = {metric.name: metric for metric in over[run.order.name].unreported}
            run.seen.update((*(item.metric for item in items), *unreported))
            found[run.order.name] = tuple(unreported.get(metric.name, metric) for metric in observe(items, names))
        return found

    async def _look_up(self, runs: Sequence[LiveRun]) -> None:
        """Take in what the log has of runs in whose output the objective was not: others may have reported it."""
        for run, items in zip(runs, await self._read(runs) if runs else (), strict=True):
            known = frozenset(run.seen)
            for item in items:
                if item.metric not in known:
                    self._take_in(run, item)

    async def _read(self, runs: Sequence[LiveRun]) -> Sequence[Sequence[Measurement]]:
        return await self._observations.read([(run.order.trial_uid, run.order.trial.attempt) for run in runs])

    def _end(self, report: RunReport) -> RunEnd:
        document = report.document or {}
        failed, succeeded = self._failure.match(document), None
        if failed is None:
            succeeded = self._success.match(document)
        match = failed or succeeded
        return RunEnd(
            None if match is None else failed is None,
            match.reason if match else report.reason,
            match.message if match else report.detail,
            report.stopped,
            report.retry,
            self._runs[report.name].seen | set(report.seen),
        )

    def _put(self, trial: TrialRecord, change: Change, now: float) -> None:
        self._board.put(trial)
        if trial.state.finished:
            change.trials.pop(trial.name, None)  # the change lists them in order of finishing
        change.trials[trial.name] = trial
        run = self._runs.get(trial.name)
        if run is not None and (trial.state.finished or trial.attempt != run.order.trial.attempt):
            del self._runs[trial.name]
            self._over.append(trial.name)
        if trial.state.finished:
            if self._stopper is not None:
                self._stopper.finished(trial.name, trial.state)
            if trial.state in {TrialState.FAILED, TrialState.METRICS_UNAVAILABLE}:
                event = Event("Trial", trial.name, EventType.WARNING, trial.reason.split(".")[0], trial.message, now)
                change.events.append(event)
