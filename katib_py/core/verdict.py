"""What becomes of a trial when its run ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from katib_py.core.objective import Metric, ObjectiveSpec, metric_text, objective_value
from katib_py.core.trial import CONDITION_TEXTS, StopIntent, StopKind, TrialRecord, TrialState

MAX_DISRUPTIONS: Final = 1  # a run that vanished without a verdict gets one new attempt


@dataclass(frozen=True, slots=True)
class RunEnd:
    """How a run ended.

    `succeeded` is what the template's conditions say of the run object, None when neither holds; `reason` and `message`
    are the matched condition's. `stopped`: it ended because it was told to. `retry`: its own back-off limit allows
    another attempt. `seen`: the metric names that did appear in its output.
    """

    succeeded: bool | None
    reason: str = ""
    message: str = ""
    stopped: bool = False
    retry: bool = False
    seen: Collection[str] = ()


def conclude(
    trial: TrialRecord, end: RunEnd, observation: tuple[Metric, ...], objective: ObjectiveSpec, now: float
) -> TrialRecord:
    """The trial after its run ended: finished, or set up for a new attempt."""
    if trial.stop is not None and (end.stopped or trial.stop.told):
        return _stopped(trial, trial.stop, observation, now)
    if end.succeeded:
        if objective_value(objective, observation) is not None:
            return _finish(trial, TrialState.SUCCEEDED, (end.reason, end.message), observation, now)
        missing = why_unavailable(objective, observation, end.seen)
        return _finish(trial, TrialState.METRICS_UNAVAILABLE, (end.reason, missing), observation, now)
    if end.retry:
        return again(replace(trial, retries=trial.retries + 1))
    if trial.stop is not None and trial.stop.kind is StopKind.SUSPENDED and end.succeeded is None:
        return again(trial)
    reason, message = end.reason, end.message
    if end.succeeded is None:
        reason = reason or "NoVerdict"
        message = message or "the run has ended, and neither successCondition nor failureCondition holds"
    return _finish(trial, TrialState.FAILED, (reason, message), observation, now)


def vanished(
    trial: TrialRecord, observation: tuple[Metric, ...], disrupted: bool, detail: str, now: float
) -> TrialRecord:
    """The trial after its run disappeared without a verdict; `observation` is what it had measured.

    A disruption of the machine is no failure and always gets a new attempt; otherwise one attempt more, then Failed.
    """
    if trial.stop is not None:
        return _stopped(trial, trial.stop, observation, now)
    if disrupted:
        return again(trial)
    if trial.disruptions < MAX_DISRUPTIONS:
        return again(replace(trial, disruptions=trial.disruptions + 1))
    return _finish(trial, TrialState.FAILED, ("RunVanished", detail or "the run vanished twice"), observation, now)


def again(trial: TrialRecord) -> TrialRecord:
    """The same trial, to be run once more."""
    return replace(trial, state=TrialState.CREATED, attempt=trial.attempt + 1, started=None, stop=None, waiting=None)


def why_unavailable(objective: ObjectiveSpec, observation: tuple[Metric, ...], seen: Collection[str]) -> str:
    """Why the objective has no value, and what to do about it."""
    name = objective.objective_metric_name
    for metric in observation:
        if metric.name == name and (text := metric_text(metric, objective.strategy_of(name))) != "unavailable":
            return f"the objective metric {name!r} is {text}, which is not a number"
    if not seen:
        return f"the objective metric {name!r} was not reported, nor any other metric"
    names = ", ".join(repr(other) for other in sorted(seen)[:10])
    return f"the objective metric {name!r} was not reported; these were: {names}"


def _stopped(trial: TrialRecord, intent: StopIntent, observation: tuple[Metric, ...], now: float) -> TrialRecord:
    if intent.kind is StopKind.SUSPENDED:
        return again(trial)
    state = TrialState.EARLY_STOPPED if intent.kind is StopKind.EARLY_STOPPED else TrialState.KILLED
    return replace(_finish(trial, state, ("", ""), observation, now), message=_joined(state, intent.message))


def _finish(
    trial: TrialRecord, state: TrialState, job: tuple[str, str], observation: tuple[Metric, ...], now: float
) -> TrialRecord:
    reason, message = CONDITION_TEXTS[state]
    job_reason, job_message = job
    return replace(
        trial,
        state=state,
        completed=now,
        reason=f"{reason}. Job reason: {job_reason}" if job_reason else reason,
        message=f"{message}. Job message: {job_message}" if job_message else message,
        observation=observation,
        waiting=None,
    )


def _joined(state: TrialState, why: str) -> str:
    text = CONDITION_TEXTS[state][1]
    return f"{text}: {why}" if why else text
