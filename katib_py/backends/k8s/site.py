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
from katib_py.core.names import ANNOTATION_ATTEMPT, LABEL_EXPERIMENT, LABEL_TRIAL
from katib_py.core.objects import owner_reference

# Only what is printed is read by the controller; a sidecar or the program itself reports the rest.
READ_HERE: Final = CollectorKind.STDOUT
REPORTED: Final = frozenset(CollectorKind) - {READ_HERE}
BESIDE: Final = frozenset({CollectorKind.FILE, CollectorKind.TENSORFLOW_EVENT, CollectorKind.PROMETHEUS})


@dataclass(frozen=True, slots=True)
class Site:
    """The part of an experiment's spec that its runs follow.

    `live`: somebody decides on intermediate values. `beside`: a collector of ours runs beside the training.
    """

    experiment: str
    success: Condition
    failure: Condition
    primary_labels: Mapping[str, str]
    primary_container: str
    objective: str
    format: Format | None
    live: bool
    retain: bool
    beside: bool = False

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
            objective.objective_metric_name,
            TextFormat(objective, filters) if collector.kind is READ_HERE else None,
            spec.early_stopping is not None,
            template.retain,
            collector.kind in BESIDE,
        )

    def verdict(self, document: Mapping[str, Any]) -> tuple[bool, Match] | None:
        """Whether the run has succeeded, and by which condition; None while neither holds. Failure counts first."""
        if (failed := self.failure.match(document)) is not None:
            return False, failed
        if (succeeded := self.success.match(document)) is not None:
            return True, succeeded
        return None

    def follows(self, document: Mapping[str, Any]) -> bool:
        """Whether output is read while the run lasts: somebody decides on it, or its pods may go before the end."""
        spec = document.get("spec")
        policy = spec.get("runPolicy") if isinstance(spec, Mapping) else None
        vanishes = isinstance(policy, Mapping) and policy.get("cleanPodPolicy") == "All"
        vanishes = vanishes or (isinstance(spec, Mapping) and "podGC" in spec)
        return self.format is not None and (self.live or vanishes)

    @property
    def unread(self) -> str:
        """Why no output could be read, where no pod is the one that it comes from."""
        labels = ", ".join(f"{key}={value}" for key, value in self.primary_labels.items())
        with_labels = f" with the labels {labels}" if labels else ""
        return (
            f"no output was read: no pod of the run{with_labels} was seen that has a container {self.primary_container}"
        )

    def naming(self, document: Mapping[str, Any]) -> str:
        """The label that names the run on pods of its kind that do not get ours; empty where none matters."""
        kind = KINDS.get(str(document.get("kind")))
        if kind is None or (kind.added and self.primary_container not in kind.added):
            return ""
        return kind.naming

    def object(self, document: Mapping[str, Any], trial_uid: str, attempt: int = 1) -> dict[str, Any]:
        """The run object as it is created: owned by its Trial and labelled, so that it can be watched."""
        metadata = document["metadata"]
        owner = owner_reference("Trial", metadata["name"], trial_uid)
        labels = {LABEL_EXPERIMENT: self.experiment, LABEL_TRIAL: metadata["name"]}
        labels = {**(metadata.get("labels") or {}), **labels}
        metadata = {**metadata, "labels": labels, "ownerReferences": [owner]}
        if attempt > 1:
            # Later attempts may be pods of this very object: so they can be counted.
            annotations = {**(metadata.get("annotations") or {}), ANNOTATION_ATTEMPT: str(attempt)}
            metadata["annotations"] = annotations
        return {**document, "metadata": metadata}
