"""What to do next about an experiment, decided from what is and not from what happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from katib_py.core.actions import Action, Ask, Confirm, CreateTrial, Finish, Restart, SetCondition, StopTrial
from katib_py.core.confirm import repeat_of
from katib_py.core.experiment import ExperimentSpec, ResumePolicy
from katib_py.core.tally import Tally
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState

DEFAULT_PARALLEL: Final = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the experiment ended."""

    succeeded: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An experiment as it stands.

    `assigned` counts every assignment ever recorded; `unused` are those that are no trial yet, oldest first.
    `active_seconds` is the time since startTime without suspended time. `search_ended`: the algorithm has nothing more
    to propose. `search_failed`: why its service refuses the experiment. `verdict` is the recorded one, if there is one.
    `interrupted`: the controller is told to leave, and takes the runs with it. `ask_ahead`: the algorithm learns
    nothing from results, so its assignments may wait for a free place instead of the place for them.
    """

    spec: ExperimentSpec
    tally: Tally
    live: tuple[TrialRecord, ...]
    unused: tuple[Assignment, ...]
    assigned: int
    active_seconds: float
    search_ended: bool = False
    search_failed: str = ""
    verdict: Verdict | None = None
    running: bool = False
    interrupted: bool = False
    ask_ahead: bool = False


def reconcile(now: Snapshot) -> list[Action]:
    """The actions that bring the experiment nearer to what its spec wants; none when nothing is to be done."""
    if now.interrupted:
        return list(_suspend(now, "the controller was interrupted"))
    if now.verdict is not None:
        return [Restart()] if restartable(now) else list(_stop_rest(now, now.verdict.reason))
    end = finished(now)
    if end is not None and not _to_confirm(now, end):
        return [end, *_stop_rest(now, end.reason)]
    if now.spec.suspend:
        return list(_suspend(now, "the experiment is suspended"))
    return list(_go_on(now) if end is None else _confirm(now, end.reason))


def finished(now: Snapshot) -> Finish | None:
    """The verdict, if there is one. A reached goal outranks failure, failure a spent budget."""
    spec, tally = now.spec, now.tally
    if tally.goal_reached:
        return Finish(True, "ExperimentGoalReached", "Experiment has succeeded because Objective goal has reached")
    if now.search_failed:
        return Finish(False, "ExperimentFailed", f"Suggestion has failed: {now.search_failed}")
    allowed = spec.max_failed_trial_count
    if allowed is not None and tally.failed and tally.failed >= allowed:
        return Finish(False, "ExperimentFailed", "Experiment has failed because max failed count has reached")
    if spec.max_trial_count is not None and tally.searched >= spec.max_trial_count:
        return Finish(
            True, "ExperimentMaxTrialsReached", "Experiment has succeeded because max trial count has reached"
        )
    if _out_of_time(now):
        return Finish(True, "ExperimentMaxDurationReached", "Experiment has succeeded because max duration has reached")
    patience = spec.stop_when.trials_without_improvement if spec.stop_when else None
    if patience is not None and tally.since_improvement >= patience and tally.incumbent is not None:
        return Finish(
            True,
            "ExperimentNoImprovement",
            f"Experiment has succeeded because {patience} trials in a row did not improve it",
        )
    if now.search_ended and not _searching(now, now.live) and not _waiting(now):
        return Finish(
            True,
            "ExperimentSuggestionEndReached",
            "Experiment has succeeded because suggestion service has reached the end",
        )
    return None


def _out_of_time(now: Snapshot) -> bool:
    most = now.spec.max_duration_seconds
    return most is not None and now.active_seconds >= most


def _searching(now: Snapshot, live: tuple[TrialRecord, ...]) -> tuple[TrialRecord, ...]:
    """The live trials that are no repeats."""
    return live if now.spec.confirm is None else tuple(item for item in live if repeat_of(item.assignment) is None)


def _waiting(now: Snapshot) -> tuple[Assignment, ...]:
    """The unused assignments that are no repeats."""
    return now.unused if now.spec.confirm is None else tuple(item for item in now.unused if repeat_of(item) is None)


def restartable(now: Snapshot) -> bool:
    """Whether a finished experiment goes on: it ended on its budget, may be resumed, and the budget was raised."""
    spec = now.spec
    if now.verdict is None or spec.resume_policy not in {ResumePolicy.LONG_RUNNING, ResumePolicy.FROM_VOLUME}:
        return False
    if now.verdict.reason not in RESUMABLE_REASONS:
        return False
    return finished(now) is None


# Katib restarts only after ExperimentMaxTrialsReached; the other two are budgets as well, and ours.
RESUMABLE_REASONS: Final = frozenset(
    {"ExperimentMaxTrialsReached", "ExperimentMaxDurationReached", "ExperimentNoImprovement"}
)


def wanted(now: Snapshot) -> int:
    """How many more trials should be live at this moment.

    Trials without metrics count as finished here too: leaving them out is what makes Katib overshoot maxTrialCount.
    """
    room = parallel(now.spec) - len(now.live)
    if now.spec.max_trial_count is not None:
        room = min(room, now.spec.max_trial_count - now.tally.searched - len(_searching(now, now.live)))
    return max(0, room)


def parallel(spec: ExperimentSpec) -> int:
    """The number of trials that may be live at once."""
    return DEFAULT_PARALLEL if spec.parallel_trial_count is None else spec.parallel_trial_count


def _go_on(now: Snapshot) -> Iterator[Action]:
    need, unused = wanted(now), _waiting(now)
    for assignment in unused[:need]:
        yield CreateTrial(assignment)
    missing = need - len(unused)
    stock = _stock(now, need)
    # Asked for in halves: a call for each place that comes free would cost what asking ahead saves.
    if missing + stock // 2 > 0 and not now.search_ended:
        yield Ask(now.assigned + missing + stock)
    if (now.live or need) and not now.running:
        yield SetCondition("Running", "True", "ExperimentRunning", "Experiment is running")


def _stock(now: Snapshot, need: int) -> int:
    """How many assignments should lie ready beyond those needed now; never more than there will be trials."""
    if not now.ask_ahead:
        return 0
    stock = 2 * parallel(now.spec)
    if now.spec.max_trial_count is not None:
        live = len(_searching(now, now.live))
        stock = min(stock, now.spec.max_trial_count - now.tally.searched - live - need)
    return max(0, stock)


def _to_confirm(now: Snapshot, end: Finish) -> bool:
    """Whether the best trials have repeats to come before the experiment ends; time that is spent grants none."""
    if now.spec.confirm is None or not end.succeeded or _out_of_time(now):
        return False
    return bool(now.tally.unconfirmed())


def _confirm(now: Snapshot, reason: str) -> Iterator[Action]:
    """Repeat the best trials, once the search's own have ended."""
    if searching := _searching(now, now.live):
        yield from _stop_rest(replace(now, live=searching), reason)
        return
    waiting = [item for item in now.unused if repeat_of(item) is not None]
    known = {repeat_of(item) for item in (*waiting, *(trial.assignment for trial in now.live))}
    if missing := tuple(repeat for repeat in now.tally.unconfirmed() if repeat not in known):
        yield Confirm(missing)
    for assignment in waiting[: max(0, parallel(now.spec) - len(now.live))]:
        yield CreateTrial(assignment)


def _stop_rest(now: Snapshot, reason: str) -> Iterator[Action]:
    """End what still runs, except after a spent trial budget: a lowered maxTrialCount lets running trials finish."""
    if reason == "ExperimentMaxTrialsReached":
        return
    for trial in now.live:
        if trial.stop is None or trial.stop.kind is StopKind.SUSPENDED:
            yield StopTrial(trial.name, StopIntent(StopKind.KILLED, f"the experiment has ended: {reason}"))


def _suspend(now: Snapshot, why: str) -> Iterator[Action]:
    for trial in now.live:
        has_run = trial.state is TrialState.RUNNING or trial.waiting is not None
        if has_run and trial.stop is None:
            yield StopTrial(trial.name, StopIntent(StopKind.SUSPENDED, why))
