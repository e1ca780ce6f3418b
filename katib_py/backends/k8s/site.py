"""What the runs of one experiment share: how they end, how their output is read, and how they are told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from katib_py.collectors.files import Format
from katib_py.collectors.text import TextFormat
from katib_py.core.conditions import Condition, Match
from katib_py.core.experiment import CollectorKind, Experiment
from katib_py.core.kinds import KINDS
from katib_py.core.names import API_VERSION, LABEL_EXPERIMENT, LABEL_TRIAL

# Only what is printed is read by the controller; a sidecar or the program itself reports the rest.
READ_HERE: Final = CollectorKind.STDOUT
REPORTED: Final = frozenset(CollectorKind) - {READ_HERE}


@dataclass(frozen=True, slots=True)
class Site:
    """The part of an experiment's spec that its runs follow. `live`: somebody decides on intermediate values."""

    experiment: str
    success: Condition
    failure: Condition
    primary_labels: Mapping[str, str]
    primary_container: str
    format: Format | None
    live: bool
    retain: bool

    @classmethod
    def of(cls, experiment: Experiment) -> Site:
        """The site of an experiment that was found sound; raises InvalidInput for filters that cannot be used."""
        spec = experiment.spec
        template, collector, objective = spec.trial_template, spec.metrics_collector_spec, spec.objective
        assert template is not None
        assert collector is not None
        assert objective is not None
        filters = collector.source.filter.metrics_format if collector.source and collector.source.filter else ()
        return cls(
            experiment.name,
            Condition.parse(template.success_condition),
            Condition.parse(template.failure_condition),
            template.primary_pod_labels,
            template.primary_container_name,
            TextFormat(objective, filters) if collector.kind is READ_HERE else None,
            spec.early_stopping is not None,
            template.retain,
        )

    def verdict(self, document: Mapping[str, Any]) -> tuple[bool, Match] | None:
        """Whether the run has succeeded, and by which condition; None while neither holds. Failure counts first."""
        if (failed := self.failure.match(document)) is not None:
            return False, failed
        if (succeeded := self.success.match(document)) is not None:
            return True, succeeded
        return None

    def object(self, document: Mapping[str, Any], trial_uid: str) -> dict[str, Any]:
        """The run object as it is created: owned by its Trial and labelled, so that it can be watched."""
        metadata = document["metadata"]
        owner = {
            "apiVersion": API_VERSION,
            "kind": "Trial",
            "name": metadata["name"],
            "uid": trial_uid,
            "controller": True,
            "blockOwnerDeletion": True,
        }
        labels = {LABEL_EXPERIMENT: self.experiment, LABEL_TRIAL: metadata["name"]}
        labels = {**(metadata.get("labels") or {}), **labels}
        return {**document, "metadata": {**metadata, "labels": labels, "ownerReferences": [owner]}}


def suspended(document: Mapping[str, Any]) -> bool:
    """Whether the run object's pods are held back by its own switch."""
    value: Any = document
    for step in _switch(document):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value is True


def switch(document: Mapping[str, Any], off: bool) -> dict[str, Any] | None:
    """The merge patch that holds the run object's pods back or lets them go; None for a kind without such a switch."""
    path = _switch(document)
    if not path:
        return None
    patch: Any = off
    for step in reversed(path):
        patch = {step: patch}
    changed: dict[str, Any] = patch
    return changed


def _switch(document: Mapping[str, Any]) -> tuple[str, ...]:
    kind = KINDS.get(str(document.get("kind")))
    return kind.suspend if kind is not None else ()
