"""What the three kinds of object hold beside an Experiment's spec: Suggestions, Trials, and how each stands."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from katib_py.core.experiment import AlgorithmSpec, Condition, MetricsCollectorSpec
from katib_py.core.models import Flag, Int32, Labels, Model, Number, Time
from katib_py.core.objective import ObjectiveSpec


class ParameterAssignment(Model):
    """A parameter and the value that a trial tries."""

    name: str = Field("", description="The parameter's name.")
    value: str = Field("", description="The value, as text.")


class MetricSummary(Model):
    """What a trial measured of one metric."""

    name: str = Field("", description="The metric's name.")
    min: str = Field("", description="Its smallest value, as text, or unavailable.")
    max: str = Field("", description="Its largest value, as text, or unavailable.")
    latest: str = Field("", description="Its last value, as text, or unavailable.")


class Observation(Model):
    """What a trial measured."""

    metrics: tuple[MetricSummary, ...] = Field((), description="One entry for each metric.")


class EarlyStoppingRule(Model):
    """A rule that ends a trial once its metric compares so."""

    name: str = Field("", description="The metric's name.")
    value: str = Field("", description="What the metric is compared with, as text.")
    comparison: str = Field("", description="equal, less or greater.")
    start_step: Int32 = Field(0, description="The number of the first measurement to which the rule applies.")


class TrialAssignment(Model):
    """What a suggestion service proposed for one trial."""

    name: str = Field("", description="The trial's name.")
    parameter_assignments: tuple[ParameterAssignment, ...] = Field((), description="The values to try.")
    early_stopping_rules: tuple[EarlyStoppingRule, ...] = Field((), description="When the trial is ended early.")
    labels: Labels = Field(default_factory=dict, description="Labels that the trial gets.")


class SuggestionSpec(Model):
    """What a suggestion service is asked for."""

    algorithm: AlgorithmSpec | None = Field(None, description="The search algorithm.")
    early_stopping: AlgorithmSpec | None = Field(None, description="The early stopping algorithm.")
    requests: Int32 = Field(0, description="How many assignments were asked for so far.")
    resume_policy: str = Field("", description="The experiment's resumePolicy.")


class SuggestionStatus(Model):
    """What a suggestion service has answered."""

    algorithm_settings: tuple[ParameterAssignment, ...] = Field((), description="Settings that the service changed.")
    suggestion_count: Int32 = Field(0, description="How many assignments there have been.")
    suggestions: tuple[TrialAssignment, ...] = Field(
        (), description="The assignments: all that no trial has yet, and the newest of the others."
    )
    ended: Flag = Field(False, description="The service has nothing more to propose. katib-py's own.")
    start_time: Time | None = Field(None, description="When the suggestion was first looked at.")
    completion_time: Time | None = Field(None, description="When it ended.")
    last_reconcile_time: Time | None = Field(None, description="Not written.")
    conditions: tuple[Condition, ...] = Field((), description="How it stands; the last one is the state.")


class TrialSpec(Model):
    """What one trial runs."""

    objective: ObjectiveSpec | None = Field(None, description="What is optimised.")
    parameter_assignments: tuple[ParameterAssignment, ...] = Field((), description="The values that are tried.")
    early_stopping_rules: tuple[EarlyStoppingRule, ...] = Field((), description="When the trial is ended early.")
    run_spec: dict[str, Any] | None = Field(None, description="The object to run.")
    retain_run: Flag = Field(False, description="Keep the run object after the trial has ended.")
    metrics_collector: MetricsCollectorSpec = Field(MetricsCollectorSpec(), description="How metrics are collected.")
    primary_pod_labels: Labels = Field(default_factory=dict, description="Labels of the pod whose metrics count.")
    primary_container_name: str = Field("", description="The container that trains.")
    success_condition: str = Field("", description="GJSON path that finds something once the run has succeeded.")
    failure_condition: str = Field("", description="GJSON path that finds something once the run has failed.")
    labels: Labels = Field(default_factory=dict, description="Katib declares it and leaves it empty.")


class StopRecord(Model):
    """A recorded decision to end the trial's run."""

    kind: str = Field("", description="What becomes of the trial: EarlyStopped, Killed or Suspended.")
    message: str = Field("", description="Why.")
    told: Flag = Field(False, description="Whether the run was told so itself, and ends by that.")


class TrialStatus(Model):
    """How a trial stands, and what it measured."""

    start_time: Time | None = Field(None, description="When the trial was begun.")
    completion_time: Time | None = Field(None, description="When it ended; null until then.")
    last_reconcile_time: Time | None = Field(None, description="Not written.")
    conditions: tuple[Condition, ...] = Field((), description="How it stands; the last one is the state.")
    observation: Observation | None = Field(None, description="What it measured.")

    # katib-py's own.
    attempt: Int32 = Field(0, description="The number of the run, from 1. katib-py's own.")
    retries: Int32 = Field(0, description="How many runs were lost and tried again. katib-py's own.")
    disruptions: Int32 = Field(0, description="How many runs were evicted or preempted. katib-py's own.")
    stop: StopRecord | None = Field(None, description="Why the run is being ended. katib-py's own.")


class OptimalTrial(Model):
    """The best trial so far."""

    best_trial_name: str = Field("", description="Its name.")
    parameter_assignments: tuple[ParameterAssignment, ...] = Field((), description="The values that it tried.")
    observation: Observation = Field(Observation(), description="What it measured.")


def _names(which: str) -> Any:
    return Field((), description=f"Names of the {which} trials, the newest 500 at most.")


def _count(which: str) -> Any:
    return Field(0, description=f"How many {which}.")


class ConfirmedTrial(Model):
    """What the repeats of one of the best trials measured."""

    trial_name: str = Field("", description="The trial that was repeated.")
    repeats: Int32 = Field(0, description="How many of its repeats have a value.")
    mean: Number | None = Field(None, description="The mean of their values.")
    low: Number | None = Field(None, description="The lower end of the mean's 95 % confidence interval.")
    high: Number | None = Field(None, description="Its upper end.")


class Progress(Model):
    """How far an experiment has come: its status as it is written."""

    start_time: Time | None = Field(None, description="When the experiment was begun.")
    completion_time: Time | None = Field(None, description="When it ended; null until then.")
    last_reconcile_time: Time | None = Field(None, description="Not written.")
    conditions: tuple[Condition, ...] = Field((), description="How it stands; the last one is the state.")
    current_optimal_trial: OptimalTrial = Field(OptimalTrial(), description="The best trial so far.")

    pareto_front: tuple[str, ...] = Field(
        (), description="Names of trials that no other betters in every objective, 200 at most. katib-py's own."
    )

    trials_repeating: Int32 = Field(0, description="How many trials repeat the best ones. katib-py's own.")
    confirmed: tuple[ConfirmedTrial, ...] = Field(
        (), description="The best trials by the mean of their repeats, best first. katib-py's own."
    )

    running_trial_list: tuple[str, ...] = _names("running")
    pending_trial_list: tuple[str, ...] = _names("pending")
    failed_trial_list: tuple[str, ...] = _names("failed")
    succeeded_trial_list: tuple[str, ...] = _names("succeeded")
    killed_trial_list: tuple[str, ...] = _names("killed")
    early_stopped_trial_list: tuple[str, ...] = _names("early stopped")
    metrics_unavailable_trial_list: tuple[str, ...] = _names("succeeded but unmeasured")

    trials: Int32 = _count("trials there are")
    trials_succeeded: Int32 = _count("trials succeeded")
    trials_failed: Int32 = _count("trials failed")
    trials_killed: Int32 = _count("trials were killed")
    trials_pending: Int32 = _count("trials wait to be run")
    trials_running: Int32 = _count("trials run")
    trials_early_stopped: Int32 = _count("trials were early stopped")
    trial_metrics_unavailable: Int32 = _count("trials succeeded without their metric")

    suspended_seconds: Number = Field(0.0, description="Time that budgets do not count. katib-py's own.")
    suspended_since: Time | None = Field(None, description="Since when it is suspended. katib-py's own.")
