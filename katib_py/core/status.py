"""The status of an Experiment: Katib's conditions, counters and names, and the times that budgets need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from katib_py.core.confirm import repeat_of
from katib_py.core.reconcile import Verdict
from katib_py.core.tally import FRONT_KEPT, NAMES_KEPT, Tally
from katib_py.core.trial import CONDITION_TEXTS, TrialRecord, TrialState, Waiting

# Our two keys of status: time that budgets do not count, and since when the experiment is suspended.
UNCOUNTED_SECONDS: Final = "suspendedSeconds"
SUSPENDED_SINCE: Final = "suspendedSince"


@dataclass(slots=True)
class ConditionEntry:
    """One entry of status.conditions; times are seconds since the epoch, UTC."""

    type: str
    status: str
    reason: str
    message: str
    updated: float
    changed: float

    def dump(self) -> dict[str, Any]:
        """The entry as Kubernetes writes it."""
        return {
            "type": self.type,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastUpdateTime": time_text(self.updated),
            "lastTransitionTime": time_text(self.changed),
        }


@dataclass(slots=True)
class ExperimentStatus:
    """The part of the status that is not derived from trials."""

    conditions: list[ConditionEntry] = field(default_factory=list)
    start: float | None = None
    completion: float | None = None
    uncounted: float = 0.0
    suspended_since: float | None = None

    def find(self, kind: str) -> ConditionEntry | None:
        """The condition of this type."""
        return next((entry for entry in self.conditions if entry.type == kind), None)

    def holds(self, kind: str) -> bool:
        """Whether that condition is True."""
        entry = self.find(kind)
        return entry is not None and entry.status == "True"

    @property
    def running(self) -> bool:
        """Whether the experiment is Running."""
        return self.holds("Running")

    @property
    def verdict(self) -> Verdict | None:
        """How the experiment ended, if it has."""
        for kind in ("Succeeded", "Failed"):
            entry = self.find(kind)
            if entry is not None and entry.status == "True":
                return Verdict(kind == "Succeeded", entry.reason)
        return None

    def active_seconds(self, now: float) -> float:
        """Time since startTime, without suspended time and the time between an end and a restart."""
        if self.start is None:
            return 0.0
        paused = self.uncounted + (now - self.suspended_since if self.suspended_since is not None else 0.0)
        return max(0.0, now - self.start - paused)

    def set(self, kind: str, status: str, texts: tuple[str, str], now: float) -> None:
        """Katib's setCondition (api.md §5.4): a changed entry moves to the end, an unchanged one stays as it is."""
        reason, message = texts
        old = self.find(kind)
        if old is not None and (old.status, old.reason) == (status, reason):
            return
        changed = old.changed if old is not None and old.status == status else now
        self.drop(kind)
        self.conditions.append(ConditionEntry(kind, status, reason, message, now, changed))

    def drop(self, *kinds: str) -> None:
        """Remove conditions."""
        self.conditions = [entry for entry in self.conditions if entry.type not in kinds]

    def begin(self, now: float) -> None:
        """Created, with the start time; once."""
        if self.start is None:
            self.start = now
        self.set("Created", "True", ("ExperimentCreated", "Experiment is created"), now)

    def finish(self, succeeded: bool, reason: str, message: str, now: float) -> None:
        """Succeeded or Failed, with the completion time."""
        running = self.find("Running")
        if running is not None:
            self.set("Running", "False", (running.reason, running.message), now)
        self.set("Succeeded" if succeeded else "Failed", "True", (reason, message), now)
        self.completion = now

    def restart(self, now: float) -> None:
        """Restarting: the verdict is gone, and the time since then does not count."""
        self.drop("Succeeded", "Failed")
        self.set("Restarting", "True", ("ExperimentRestarting", "Experiment is restarted"), now)
        if self.completion is not None:
            self.uncounted += max(0.0, now - self.completion)

    def suspend(self, suspended: bool, now: float) -> None:
        """Start or end suspended time."""
        if suspended and self.suspended_since is None:
            self.suspended_since = now
        elif not suspended and self.suspended_since is not None:
            self.uncounted += max(0.0, now - self.suspended_since)
            self.suspended_since = None


def read_status(status: Mapping[str, Any]) -> ExperimentStatus:
    """The status as it was written; anything that is not there is at its beginning."""
    return ExperimentStatus(
        [_entry(condition) for condition in status.get("conditions") or () if condition.get("type") != "Waiting"],
        parse_time(status.get("startTime")),
        parse_time(status.get("completionTime")),
        float(status.get(UNCOUNTED_SECONDS, 0.0)),
        parse_time(status.get(SUSPENDED_SINCE)),
    )


def dump_status(
    status: ExperimentStatus, tally: Tally, live: Mapping[str, TrialRecord], waiting: Waiting | None
) -> dict[str, Any]:
    """status as Katib's clients read it (api.md §2.8), empty lists and zero counters left out."""
    running = [trial.name for trial in live.values() if trial.state is TrialState.RUNNING]
    pending = [trial.name for trial in live.values() if trial.state is TrialState.CREATED]
    repeats = tally.finished - tally.searched + sum(repeat_of(trial.assignment) is not None for trial in live.values())
    out: dict[str, Any] = {
        "startTime": time_text(status.start) if status.start is not None else None,
        "completionTime": time_text(status.completion) if status.completion is not None else None,
        "conditions": _conditions(status, waiting),
        "currentOptimalTrial": optimal_trial(tally.optimum),
        "trialsRepeating": repeats,
        "confirmed": [item.dump() for item in tally.confirmed] if tally.repeats else [],
        "paretoFront": tally.front.names(FRONT_KEPT) if tally.front is not None else [],
        "trials": tally.finished + len(live),
        "trialsRunning": len(running),
        "runningTrialList": running[-NAMES_KEPT:],
        "trialsPending": len(pending),
        "pendingTrialList": pending[-NAMES_KEPT:],
        UNCOUNTED_SECONDS: round(status.uncounted, 3),
        SUSPENDED_SINCE: time_text(status.suspended_since) if status.suspended_since is not None else None,
    }
    for state, (counter, names) in COUNTERS.items():
        out[counter] = tally.count(state)
        out[names] = list(tally.names.get(state, ()))
    return {key: value for key, value in out.items() if value or key == "completionTime"}


COUNTERS: Final = {
    TrialState.SUCCEEDED: ("trialsSucceeded", "succeededTrialList"),
    TrialState.FAILED: ("trialsFailed", "failedTrialList"),
    TrialState.KILLED: ("trialsKilled", "killedTrialList"),
    TrialState.EARLY_STOPPED: ("trialsEarlyStopped", "earlyStoppedTrialList"),
    TrialState.METRICS_UNAVAILABLE: ("trialMetricsUnavailable", "metricsUnavailableTrialList"),
}


def optimal_trial(trial: TrialRecord | None) -> dict[str, Any]:
    """currentOptimalTrial; with an empty observation while there is none (Katib always emits it)."""
    if trial is None:
        return {"observation": {}}
    return {
        "bestTrialName": trial.name,
        "parameterAssignments": [{"name": name, "value": value} for name, value in trial.assignment.parameters],
        "observation": {"metrics": [metric._asdict() for metric in trial.observation]},
    }


def trial_conditions(trial: TrialRecord) -> list[dict[str, Any]]:
    """The conditions of a trial, derived from its record: Created, Running, and the end (api.md §4.3)."""
    entries = [_trial_condition(TrialState.CREATED, "True", trial.created)]
    ended = trial.state.finished
    if trial.started is not None:
        since = trial.completed if ended and trial.completed is not None else trial.started
        entries.append(_trial_condition(TrialState.RUNNING, "False" if ended else "True", since))
    if trial.waiting is not None:
        entries.insert(-1, _waiting(trial.waiting))
    if ended:
        last = _trial_condition(trial.state, "True", trial.completed or trial.created)
        last["reason"] = trial.reason or last["reason"]
        last["message"] = trial.message or last["message"]
        entries.append(last)
    return entries


def _trial_condition(state: TrialState, status: str, when: float) -> dict[str, Any]:
    reason, message = CONDITION_TEXTS[state]
    return ConditionEntry(state.value, status, reason, message, when, when).dump()


def _conditions(status: ExperimentStatus, waiting: Waiting | None) -> list[dict[str, Any]]:
    entries = [entry.dump() for entry in status.conditions]
    if waiting is not None:
        # Clients and kubectl read the last condition as the state, so ours stands before it.
        entries.insert(max(0, len(entries) - 1), _waiting(waiting))
    return entries


def first_status(now: float) -> dict[str, Any]:
    """The status of an Experiment that nothing has happened to yet."""
    status = ExperimentStatus()
    status.begin(now)
    return {"startTime": time_text(now), "conditions": [entry.dump() for entry in status.conditions]}


def with_waiting(status: Mapping[str, Any], reason: str, message: str, now: float) -> dict[str, Any]:
    """The keys of an Experiment's status that say what it waits for; the last condition stays what it was."""
    conditions = list(status.get("conditions") or ())
    if any(entry.get("type") == "Waiting" and entry.get("message") == message for entry in conditions):
        return {}
    others = [entry for entry in conditions if entry.get("type") != "Waiting"] or first_status(now)["conditions"]
    others.insert(len(others) - 1, _waiting(Waiting(reason, message, now)))
    return {"conditions": others}


def _waiting(waiting: Waiting) -> dict[str, Any]:
    return ConditionEntry("Waiting", "True", waiting.reason, waiting.message, waiting.since, waiting.since).dump()


def _entry(condition: Mapping[str, Any]) -> ConditionEntry:
    return ConditionEntry(
        str(condition.get("type", "")),
        str(condition.get("status", "")),
        str(condition.get("reason", "")),
        str(condition.get("message", "")),
        parse_time(condition.get("lastUpdateTime")) or 0.0,
        parse_time(condition.get("lastTransitionTime")) or 0.0,
    )


def time_text(seconds: float) -> str:
    """Seconds since the epoch as RFC3339 in UTC, second precision."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: Any) -> float | None:
    """RFC3339 text as seconds since the epoch; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
