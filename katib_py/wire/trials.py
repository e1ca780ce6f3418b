"""Trials as a suggestion service sees them."""

from __future__ import annotations

import time
from typing import Final

from katib_py.core.objective import ObjectiveSpec, metric_text
from katib_py.core.trial import Assignment, Rule, TrialRecord, TrialState
from katib_py.wire import api

CONDITIONS: Final = {
    TrialState.CREATED: api.TrialStatus.CREATED,
    TrialState.RUNNING: api.TrialStatus.RUNNING,
    TrialState.SUCCEEDED: api.TrialStatus.SUCCEEDED,
    TrialState.KILLED: api.TrialStatus.KILLED,
    TrialState.FAILED: api.TrialStatus.FAILED,
    TrialState.METRICS_UNAVAILABLE: api.TrialStatus.METRICSUNAVAILABLE,
    TrialState.EARLY_STOPPED: api.TrialStatus.EARLYSTOPPED,
}


def trial_message(trial: TrialRecord, objective: ObjectiveSpec) -> api.Trial:
    """The trial with one value per metric, chosen by the metric's strategy (api.md §12)."""
    message = unused_message(trial.assignment)
    status = message.status
    status.condition = CONDITIONS[trial.state]
    status.start_time = _time(trial.started)
    status.completion_time = _time(trial.completed)
    for metric in trial.observation:
        status.observation.metrics.add(name=metric.name, value=metric_text(metric, objective.strategy_of(metric.name)))
    return message


def prior_message(trial: TrialRecord, objective: ObjectiveSpec) -> api.Trial:
    """A trial of another experiment, as an observation of this one."""
    message = trial_message(trial, objective)
    message.prior = True
    return message


def unused_message(assignment: Assignment) -> api.Trial:
    """An assignment that is no trial yet: CREATED, so that an algorithm counts it as pending."""
    message = api.Trial(name=assignment.name)
    add = message.spec.parameter_assignments.assignments.add
    for name, value in assignment.parameters:
        add(name=name, value=value)
    for key, label in assignment.labels:
        message.spec.labels[key] = label
    return message


def rule(message: api.EarlyStoppingRule) -> Rule:
    """Katib's early stopping rule; an unknown comparison means equal (Katib's reading)."""
    words = {api.LESS: "less", api.GREATER: "greater"}
    return Rule(message.name, message.value, words.get(message.comparison, "equal"), message.start_step)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
