"""What an Experiment means where it says nothing (Katib's defaults, and where they differ: docs/compatibility.md)."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from katib_py.core.experiment import (
    AlgorithmSpec,
    Collector,
    CollectorKind,
    Experiment,
    ExperimentSpec,
    FileSystemPath,
    HttpGet,
    MetricsCollectorSpec,
    ResumePolicy,
    Source,
    TrialTemplate,
)
from katib_py.core.kinds import KINDS
from katib_py.core.models import Model
from katib_py.core.names import DEFAULT_EVENT_FOLDER, DEFAULT_METRICS_FILE
from katib_py.core.objective import MetricStrategy, ObjectiveSpec
from katib_py.core.outcome import strategy_for
from katib_py.core.space import Distribution, ParameterSpec

PARALLEL_TRIALS: Final = 3
ALGORITHM: Final = "auto"
METRICS_PORT: Final = 8080
METRICS_URL_PATH: Final = "/metrics"

M = TypeVar("M", bound=Model)

FILE_PATHS: Final = {
    CollectorKind.FILE: FileSystemPath(kind="File", path=DEFAULT_METRICS_FILE, format="TEXT"),
    CollectorKind.TENSORFLOW_EVENT: FileSystemPath(kind="Directory", path=DEFAULT_EVENT_FOLDER),
}


def default(experiment: Experiment) -> Experiment:
    """The experiment with every default written out; doing it twice changes nothing more."""
    spec = experiment.spec
    changes: dict[str, Any] = {
        "parallel_trial_count": _parallel(spec),
        "resume_policy": spec.resume_policy or ResumePolicy.NEVER.value,
        "parameters": tuple(_parameter(parameter) for parameter in spec.parameters),
        "metrics_collector_spec": _metrics_collector(spec.metrics_collector_spec or MetricsCollectorSpec()),
    }
    if spec.algorithm is None and spec.nas_config is None:
        changes["algorithm"] = AlgorithmSpec(algorithm_name=ALGORITHM)
    if spec.objective is not None:
        changes["objective"] = _objective(spec.objective, spec)
    if spec.trial_template is not None:
        changes["trial_template"] = _trial_template(spec.trial_template)
    return experiment.model_copy(update={"spec": spec.model_copy(update=changes)})


def _parallel(spec: ExperimentSpec) -> int:
    if spec.parallel_trial_count is not None:
        return spec.parallel_trial_count
    most = spec.max_trial_count
    return min(PARALLEL_TRIALS, most) if most is not None and most > 0 else PARALLEL_TRIALS


def _parameter(parameter: ParameterSpec) -> ParameterSpec:
    space = _filled(parameter.feasible_space, distribution=Distribution.UNIFORM)
    return parameter.model_copy(update={"feasible_space": space})


def _objective(objective: ObjectiveSpec, spec: ExperimentSpec) -> ObjectiveSpec:
    named = {entry.name for entry in objective.metric_strategies}
    missing = [name for name in dict.fromkeys(objective.metric_names) if name and name not in named]
    added = tuple(
        MetricStrategy(name=name, value=strategy_for(name, objective, spec.objectives, spec.outcome_constraints))
        for name in missing
    )
    return objective.model_copy(update={"metric_strategies": objective.metric_strategies + added})


def _trial_template(template: TrialTemplate) -> TrialTemplate:
    kind = KINDS.get(str((template.trial_spec or {}).get("kind")))
    if kind is None:
        return template
    return _filled(
        template,
        success_condition=kind.success,
        failure_condition=kind.failure,
        primary_pod_labels=dict(kind.primary_labels),
    )


def _metrics_collector(spec: MetricsCollectorSpec) -> MetricsCollectorSpec:
    collector = _filled(spec.collector or Collector(), kind=CollectorKind.STDOUT)
    source = _source(spec.source or Source(), spec.kind)
    if source == Source() and spec.source is None:
        return spec.model_copy(update={"collector": collector})
    return spec.model_copy(update={"collector": collector, "source": source})


def _source(source: Source, kind: CollectorKind) -> Source:
    if kind is CollectorKind.PROMETHEUS:
        http_get = _filled(source.http_get or HttpGet(), path=METRICS_URL_PATH, port=METRICS_PORT)
        return source.model_copy(update={"http_get": http_get})
    if (whole := FILE_PATHS.get(kind)) is not None:
        given = source.file_system_path or FileSystemPath()
        path = _filled(given, kind=whole.kind, path=whole.path, format=whole.format)
        return source.model_copy(update={"file_system_path": path})
    return source


def _filled(model: M, **values: Any) -> M:
    """The model with the given values in those fields that are empty."""
    missing = {field: value for field, value in values.items() if value and not getattr(model, field)}
    return model.model_copy(update=missing) if missing else model
