"""The Experiment of kubeflow.org/v1beta1: what to search, how, and how far it has come."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from katib_py.core.models import Flag, Int32, Labels, Model, Time
from katib_py.core.names import API_VERSION
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.space import ParameterSpec


class Setting(Model):
    """One setting of an algorithm; the value is text."""

    name: str = ""
    value: str = ""


class AlgorithmSpec(Model):
    """Katib's spec.algorithm and spec.earlyStopping."""

    algorithm_name: str = ""
    algorithm_settings: tuple[Setting, ...] = ()

    def settings(self) -> dict[str, str]:
        """The settings by name; of two with one name the last counts."""
        return {setting.name: setting.value for setting in self.algorithm_settings}


class ResumePolicy(StrEnum):
    """What happens to a finished experiment whose budget is raised."""

    NEVER = "Never"
    LONG_RUNNING = "LongRunning"
    FROM_VOLUME = "FromVolume"


class CollectorKind(StrEnum):
    """Where a trial's metrics come from."""

    STDOUT = "StdOut"
    FILE = "File"
    TENSORFLOW_EVENT = "TensorFlowEvent"
    PROMETHEUS = "PrometheusMetric"
    CUSTOM = "Custom"
    PUSH = "Push"


class TrialParameter(Model):
    """A placeholder of the trial template and what fills it."""

    name: str = ""
    description: str = ""
    reference: str = ""


class ConfigMapSource(Model):
    """A trial template kept in a ConfigMap."""

    config_map_name: str = ""
    config_map_namespace: str = ""
    template_path: str = ""


class TrialTemplate(Model):
    """Katib's spec.trialTemplate: how a trial's run looks."""

    retain: Flag = False
    trial_spec: dict[str, Any] | None = None
    config_map: ConfigMapSource | None = None
    trial_parameters: tuple[TrialParameter, ...] | None = None
    primary_pod_labels: Labels = Field(default_factory=dict)
    primary_container_name: str = ""
    success_condition: str = ""
    failure_condition: str = ""


class Collector(Model):
    """The kind of a metrics collector, and the container of a Custom one."""

    kind: CollectorKind | None = None
    custom_collector: dict[str, Any] | None = None


class HttpGet(Model):
    """Where a PrometheusMetric collector scrapes."""

    path: str = ""
    port: int | str = 0
    host: str = ""
    scheme: str = ""


class FileSystemPath(Model):
    """What a File or TensorFlowEvent collector reads."""

    path: str = ""
    kind: str = ""
    format: str = ""


class Filter(Model):
    """RE2 patterns with two groups each: name and value."""

    metrics_format: tuple[str, ...] = ()


class Source(Model):
    """Where a collector reads."""

    http_get: HttpGet | None = None
    file_system_path: FileSystemPath | None = None
    filter: Filter | None = None


class MetricsCollectorSpec(Model):
    """Katib's spec.metricsCollectorSpec."""

    collector: Collector | None = None
    source: Source | None = None

    @property
    def kind(self) -> CollectorKind:
        """The collector's kind; StdOut where none is written."""
        return (self.collector.kind if self.collector else None) or CollectorKind.STDOUT


class GraphConfig(Model):
    """The outline of an architecture."""

    num_layers: Int32 | None = None
    input_sizes: tuple[Int32, ...] = ()
    output_sizes: tuple[Int32, ...] = ()


class Operation(Model):
    """An operation that an architecture may use."""

    operation_type: str = ""
    parameters: tuple[ParameterSpec, ...] = ()


class NasConfig(Model):
    """Katib's spec.nasConfig."""

    graph_config: GraphConfig = GraphConfig()
    operations: tuple[Operation, ...] = ()


class StopWhen(Model):
    """Further reasons to end the experiment."""

    trials_without_improvement: Int32 | None = None


class ExperimentSpec(Model):
    """Katib's spec, and our keys at its end."""

    parameters: tuple[ParameterSpec, ...] = ()
    objective: ObjectiveSpec | None = None
    algorithm: AlgorithmSpec | None = None
    early_stopping: AlgorithmSpec | None = None
    trial_template: TrialTemplate | None = None
    parallel_trial_count: Int32 | None = None
    max_trial_count: Int32 | None = None
    max_failed_trial_count: Int32 | None = None
    metrics_collector_spec: MetricsCollectorSpec | None = None
    nas_config: NasConfig | None = None
    resume_policy: str = ""

    suspend: Flag = False
    max_duration_seconds: Int32 | None = None
    stop_when: StopWhen | None = None


class Condition(Model):
    """One entry of status.conditions; the last entry is the state that kubectl shows."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_update_time: Time | None = None
    last_transition_time: Time | None = None


class Metadata(Model):
    """The part of Kubernetes metadata that katib-py reads; the rest is kept as it is."""

    name: str = ""
    namespace: str = "default"
    uid: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class Experiment(Model):
    """An Experiment object. Its status is kept as JSON types: whoever needs a part of it reads that part."""

    api_version: str = API_VERSION
    kind: str = "Experiment"
    metadata: Metadata = Metadata()
    spec: ExperimentSpec = Field(default_factory=ExperimentSpec)
    status: dict[str, Any] = Field(default_factory=dict)

    @property
    def name(self) -> str:
        """metadata.name."""
        return self.metadata.name

    def dump(self) -> dict[str, Any]:
        """The object as JSON types, apiVersion and kind always there."""
        return {"apiVersion": self.api_version, "kind": self.kind, **super().dump()}
