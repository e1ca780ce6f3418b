"""The Experiment of kubeflow.org/v1beta1: what to search, how, and how far it has come."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from katib_py.core.confirm import Confirm
from katib_py.core.models import Flag, Int32, Labels, Model, Time
from katib_py.core.names import API_VERSION
from katib_py.core.objective import ObjectiveSpec
from katib_py.core.outcome import Judgement, Objective, OutcomeConstraint
from katib_py.core.space import ParameterCondition, ParameterSpec


class Setting(Model):
    """One setting of an algorithm; the value is text."""

    name: str = Field("", description="The setting's name.")
    value: str = Field("", description="Its value, as text.")


class AlgorithmSpec(Model):
    """An algorithm by name, and its settings: Katib's spec.algorithm and spec.earlyStopping."""

    algorithm_name: str = Field("", description="The algorithm's name: random, grid, tpe, medianstop, …")
    algorithm_settings: tuple[Setting, ...] = Field((), description="Settings; each algorithm has its own.")

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

    name: str = Field("", description="The placeholder ${trialParameters.NAME} of the template.")
    description: str = Field("", description="What it is, in words.")
    reference: str = Field(
        "", description="The parameter that fills it, or ${trialSpec.Name}, .Namespace, .Labels[key], …"
    )


class ConfigMapSource(Model):
    """A trial template kept in a ConfigMap."""

    config_map_name: str = Field("", description="Name of the ConfigMap.")
    config_map_namespace: str = Field("", description="Namespace of the ConfigMap.")
    template_path: str = Field("", description="Key of its data that holds the template.")


class TrialTemplate(Model):
    """How a trial's run looks: Katib's spec.trialTemplate."""

    retain: Flag = Field(False, description="Keep the run object after its trial has ended.")
    trial_spec: dict[str, Any] | None = Field(
        None, description="The object to run, of any kind, with placeholders ${trialParameters.NAME}."
    )
    config_map: ConfigMapSource | None = Field(
        None, description="Where the object to run is kept, instead of trialSpec."
    )
    trial_parameters: tuple[TrialParameter, ...] | None = Field(
        None, description="The template's placeholders and what fills them."
    )
    primary_pod_labels: Labels = Field(
        default_factory=dict, description="Labels of the pod whose metrics count, where a run has several."
    )
    primary_container_name: str = Field("", description="The container that trains.")
    success_condition: str = Field("", description="GJSON path that finds something once the run has succeeded.")
    failure_condition: str = Field("", description="GJSON path that finds something once the run has failed.")


class Collector(Model):
    """The kind of a metrics collector, and the container of a Custom one."""

    kind: CollectorKind | None = Field(None, description="Where metrics come from; StdOut where nothing is said.")
    custom_collector: dict[str, Any] | None = Field(None, description="The container that collects, for kind Custom.")


class HttpGet(Model):
    """Where a PrometheusMetric collector scrapes."""

    path: str = Field("", description="Path of the page of metrics; /metrics where nothing is said.")
    port: int | str = Field(0, description="Port, 8080 where nothing is said.")
    host: str = Field("", description="Kept as Kubernetes has it.")
    scheme: str = Field("", description="Kept as Kubernetes has it.")


class FileSystemPath(Model):
    """What a File or TensorFlowEvent collector reads."""

    path: str = Field("", description="Absolute path in the training container.")
    kind: str = Field("", description="File or Directory.")
    format: str = Field("", description="TEXT or JSON, for kind File.")


class Filter(Model):
    """RE2 patterns with two groups each: name and value."""

    metrics_format: tuple[str, ...] = Field((), description="The patterns; each is tried on every line.")


class Source(Model):
    """Where a collector reads."""

    http_get: HttpGet | None = Field(None, description="What kind PrometheusMetric scrapes.")
    file_system_path: FileSystemPath | None = Field(
        None, description="What the kinds File, TensorFlowEvent and Custom read."
    )
    filter: Filter | None = Field(None, description="How metrics are found in lines of text.")


class MetricsCollectorSpec(Model):
    """How metrics are collected: Katib's spec.metricsCollectorSpec."""

    collector: Collector | None = Field(None, description="The kind of collector.")
    source: Source | None = Field(None, description="Where it reads.")

    @property
    def kind(self) -> CollectorKind:
        """The collector's kind; StdOut where none is written."""
        return (self.collector.kind if self.collector else None) or CollectorKind.STDOUT


class GraphConfig(Model):
    """The outline of an architecture."""

    num_layers: Int32 | None = Field(None, description="Number of layers.")
    input_sizes: tuple[Int32, ...] = Field((), description="Sizes of the input.")
    output_sizes: tuple[Int32, ...] = Field((), description="Sizes of the output.")


class Operation(Model):
    """An operation that an architecture may use."""

    operation_type: str = Field("", description="The operation's name.")
    parameters: tuple[ParameterSpec, ...] = Field((), description="What may be chosen about it.")


class NasConfig(Model):
    """The search space of architectures: Katib's spec.nasConfig."""

    graph_config: GraphConfig = Field(GraphConfig(), description="The outline of the architecture.")
    operations: tuple[Operation, ...] = Field((), description="The operations to choose from.")


class StopWhen(Model):
    """Further reasons to end the experiment."""

    trials_without_improvement: Int32 | None = Field(
        None, description="End after this many trials in a row that were not better than the best before them."
    )


class ExperimentSpec(Model):
    """What to search, how, and within which budget."""

    parameters: tuple[ParameterSpec, ...] = Field((), description="The hyperparameters that are searched.")
    objective: ObjectiveSpec | None = Field(None, description="What is optimised.")
    algorithm: AlgorithmSpec | None = Field(None, description="How the search space is searched; auto by default.")
    early_stopping: AlgorithmSpec | None = Field(None, description="Which trials are ended before they have finished.")
    trial_template: TrialTemplate | None = Field(None, description="What a trial runs.")
    parallel_trial_count: Int32 | None = Field(
        None, description="How many trials run at a time; 3 by default, never above maxTrialCount. Can be changed."
    )
    max_trial_count: Int32 | None = Field(
        None, description="How many trials are run at most; no bound where nothing is said. Can be changed."
    )
    max_failed_trial_count: Int32 | None = Field(
        None, description="The experiment fails with this many failed trials. Can be changed."
    )
    metrics_collector_spec: MetricsCollectorSpec | None = Field(
        None, description="How metrics are collected: from the container's output by default."
    )
    nas_config: NasConfig | None = Field(
        None, description="The architectures that are searched, instead of parameters."
    )
    resume_policy: str = Field(
        "", description="Whether the ended experiment goes on with a larger budget: Never, LongRunning or FromVolume."
    )

    # Keys of katib-py's own: not in Katib.
    suspend: Flag = Field(False, description="End the runs and start no others until this is false again.")
    max_duration_seconds: Int32 | None = Field(
        None, description="End the experiment this long after its start, suspended time not counted. Can be changed."
    )
    stop_when: StopWhen | None = Field(None, description="Further reasons to end the experiment. Can be changed.")
    parameter_conditions: dict[str, ParameterCondition] = Field(
        default_factory=dict, description="By name: parameters that are active only for some values of another one."
    )
    parameter_constraints: tuple[str, ...] = Field(
        (), description="What every assignment satisfies: comparisons over parameters, such as units1 >= units2."
    )
    initial_assignments: tuple[dict[str, str], ...] = Field(
        (), description="Values by parameter that are tried before the algorithm proposes any, as text."
    )
    warm_start: tuple[str, ...] = Field(
        (), description="Ended experiments of the same namespace whose trials the algorithm takes for observations."
    )
    objectives: tuple[Objective, ...] = Field(
        (), description="Several objectives, instead of one; the first is that of objective."
    )
    outcome_constraints: tuple[OutcomeConstraint, ...] = Field(
        (), description="Bounds on metrics: a trial that breaks one is not the best while another breaks none."
    )

    confirm: Confirm | None = Field(None, description="Run the best trials once more when the search is over.")

    def judgement(self) -> Judgement:
        """How trials are judged; an experiment without objective judges none."""
        assert self.objective is not None
        return Judgement(self.objective, self.objectives, self.outcome_constraints)


class Condition(Model):
    """One entry of status.conditions; the last entry is the state that kubectl shows."""

    type: str = Field(description="What the condition is about: Created, Running, Succeeded, Waiting, …")
    status: str = Field(description="Whether it holds: True, False or Unknown.")
    reason: str = Field("", description="Why, in one word for programs.")
    message: str = Field("", description="Why, in a sentence for people.")
    last_update_time: Time | None = Field(None, description="When the condition was last written.")
    last_transition_time: Time | None = Field(None, description="When its status last changed.")


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
