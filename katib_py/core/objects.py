"""Trials and Suggestions as the objects of kubeflow.org/v1beta1 that users read, built from records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from katib_py.core.experiment import Experiment
from katib_py.core.names import ANNOTATION_INDEX, API_VERSION, LABEL_EXPERIMENT
from katib_py.core.objective import Metric
from katib_py.core.status import time_text, trial_conditions
from katib_py.core.trial import Assignment, Rule, StopIntent, TrialRecord, trial_uid

Json = dict[str, Any]


def trial_object(experiment: Experiment, trial: TrialRecord, run_spec: Mapping[str, Any] | None = None) -> Json:
    """The Trial with its status (api.md §4); `run_spec` is the rendered template, where the caller has it."""
    return {**TrialObjects(experiment).of(trial, run_spec), "status": trial_status(trial)}


class TrialObjects:
    """The Trials of one experiment; what they share is put together once."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._labels = {**experiment.metadata.labels, LABEL_EXPERIMENT: experiment.name}
        dumped = experiment.spec.dump()
        template = dumped.get("trialTemplate", {})
        self._spec: Json = {
            "objective": dumped.get("objective", {}),
            "metricsCollector": dumped.get("metricsCollectorSpec", {}),
            **{key: template[key] for key in COPIED if key in template},
        }
        if template.get("retain"):
            self._spec["retainRun"] = True

    def of(self, trial: TrialRecord, run_spec: Mapping[str, Any] | None = None) -> Json:
        """The Trial without its status."""
        assignment = trial.assignment
        spec = {**self._spec, "parameterAssignments": _pairs(assignment.parameters)}
        if assignment.labels:
            spec["labels"] = dict(assignment.labels)
        if assignment.rules:
            spec["earlyStoppingRules"] = [_rule(rule) for rule in assignment.rules]
        if run_spec is not None:
            spec["runSpec"] = dict(run_spec)
        metadata = {
            **owned(self._experiment, trial.name),
            "uid": trial.uid or trial_uid(self._experiment.metadata.uid, trial.name),
            "labels": {**self._labels, **dict(assignment.labels)},
            "annotations": {ANNOTATION_INDEX: str(assignment.index)},
        }
        return {"apiVersion": API_VERSION, "kind": "Trial", "metadata": metadata, "spec": spec}


COPIED: Final = ("primaryPodLabels", "primaryContainerName", "successCondition", "failureCondition")


def trial_status(trial: TrialRecord) -> Json:
    """status of a Trial; completionTime is null until there is one, as Katib's clients expect."""
    status: Json = {
        "startTime": time_text(trial.started if trial.started is not None else trial.created),
        "completionTime": time_text(trial.completed) if trial.completed is not None else None,
        "conditions": trial_conditions(trial),
    }
    if trial.observation:
        status["observation"] = observation_object(trial.observation)
    status.update((key, value) for key, value in attempts(trial).items() if value is not None)
    return status


def attempts(trial: TrialRecord) -> Json:
    """Our own keys of a Trial's status: None where there is nothing to tell."""
    return {
        "attempt": trial.attempt if trial.attempt > 1 else None,
        "retries": trial.retries or None,
        "disruptions": trial.disruptions or None,
        "stop": _stop(trial.stop) if trial.stop else None,
    }


def suggestion_object(experiment: Experiment, counts: Mapping[str, Any], assignments: Iterable[Assignment]) -> Json:
    """The Suggestion; `counts` has requests, assigned and settings of the suggestion record."""
    status: Json = {
        "suggestionCount": counts["assigned"],
        "suggestions": [suggestion_entry(item) for item in assignments],
    }
    if counts["settings"]:
        status["algorithmSettings"] = _pairs(counts["settings"])
    return {
        "apiVersion": API_VERSION,
        "kind": "Suggestion",
        "metadata": owned(experiment, experiment.name),
        "spec": suggestion_spec(experiment, counts["requests"]),
        "status": {key: value for key, value in status.items() if value},
    }


def suggestion_spec(experiment: Experiment, requests: int) -> Json:
    """spec of the Suggestion (api.md §3.1)."""
    dumped = experiment.spec.dump()
    spec: Json = {"algorithm": dumped.get("algorithm", {}), "requests": requests}
    spec.update((key, dumped[key]) for key in ("earlyStopping", "resumePolicy") if key in dumped)
    return spec


def suggestion_entry(item: Assignment) -> Json:
    """An entry of the Suggestion's status.suggestions (api.md §3.2)."""
    entry: Json = {"name": item.name, "parameterAssignments": _pairs(item.parameters)}
    if item.rules:
        entry["earlyStoppingRules"] = [_rule(rule) for rule in item.rules]
    if item.labels:
        entry["labels"] = dict(item.labels)
    return entry


def observation_object(observation: Iterable[Metric]) -> Json:
    """An observation as the objects carry it."""
    return {"metrics": [metric._asdict() for metric in observation]}


def owner_reference(kind: str, name: str, uid: str) -> Json:
    """The entry of ownerReferences that makes one of Katib's objects the controller of another object."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "name": name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned(experiment: Experiment, name: str) -> Json:
    """metadata of an object of this name that the experiment owns."""
    owner = owner_reference("Experiment", experiment.name, experiment.metadata.uid)
    return {"name": name, "namespace": experiment.metadata.namespace, "ownerReferences": [owner]}


def _pairs(pairs: Iterable[tuple[str, str]]) -> list[Json]:
    return [{"name": name, "value": value} for name, value in pairs]


def _stop(stop: StopIntent) -> Json:
    return {"kind": stop.kind.value, "message": stop.message, **({"told": True} if stop.told else {})}


def _rule(rule: Rule) -> Json:
    start = {"startStep": rule.start_step} if rule.start_step else {}
    return {"name": rule.name, "value": rule.value, "comparison": rule.comparison, **start}
