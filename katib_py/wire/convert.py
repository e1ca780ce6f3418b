"""Experiments to and from the wire (api.md §12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from katib_py.core.experiment import AlgorithmSpec, Experiment, ExperimentSpec, NasConfig
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.outcome import Objective, OutcomeConstraint
from katib_py.core.space import Distribution, FeasibleSpace, ParameterCondition, ParameterSpec, ParameterType
from katib_py.wire import api

TYPES: Final[Mapping[ParameterType | None, api.ParameterType]] = {
    ParameterType.INT: api.INT,
    ParameterType.DOUBLE: api.DOUBLE,
    ParameterType.DISCRETE: api.DISCRETE,
    ParameterType.CATEGORICAL: api.CATEGORICAL,
}
DISTRIBUTIONS: Final[Mapping[Distribution | None, api.Distribution]] = {
    Distribution.UNIFORM: api.UNIFORM,
    Distribution.LOG_UNIFORM: api.LOG_UNIFORM,
    Distribution.NORMAL: api.NORMAL,
    Distribution.LOG_NORMAL: api.LOG_NORMAL,
}
DIRECTIONS: Final = {ObjectiveType.MINIMIZE: api.MINIMIZE, ObjectiveType.MAXIMIZE: api.MAXIMIZE}


def experiment_message(experiment: Experiment, settings: Mapping[str, str] | None = None) -> api.Experiment:
    """The experiment; `settings` overlay the algorithm's own: replaced by name, else appended."""
    spec = experiment.spec
    message = api.Experiment(name=experiment.name, uid=experiment.metadata.uid)
    message.spec.parameter_specs.SetInParent()
    message.spec.parameter_specs.parameters.extend(parameter_message(parameter) for parameter in spec.parameters)
    if spec.objective is not None:
        message.spec.objective.CopyFrom(objective_message(spec.objective))
    if spec.algorithm is not None:
        message.spec.algorithm.algorithm_name = spec.algorithm.algorithm_name
        for name, value in {**spec.algorithm.settings(), **(settings or {})}.items():
            message.spec.algorithm.algorithm_settings.add(name=name, value=value)
    if spec.early_stopping is not None:
        message.spec.early_stopping.algorithm_name = spec.early_stopping.algorithm_name
        for name, value in spec.early_stopping.settings().items():
            message.spec.early_stopping.algorithm_settings.add(name=name, value=value)
    message.spec.parallel_trial_count = spec.parallel_trial_count or 0
    message.spec.max_trial_count = spec.max_trial_count or 0
    if spec.nas_config is not None:
        message.spec.nas_config.CopyFrom(nas_message(spec.nas_config))
    _add_extensions(message.spec, spec)
    return message


def _add_extensions(message: api.ExperimentSpec, spec: ExperimentSpec) -> None:
    """What Katib's messages lack; numbered from 100."""
    for name, condition in spec.parameter_conditions.items():
        message.parameter_conditions.add(name=name, parent=condition.parent, values=condition.values)
    message.parameter_constraints.extend(spec.parameter_constraints)
    for item in spec.objectives:
        direction = DIRECTIONS[item.type] if item.type is not None else api.UNKNOWN
        message.objectives.add(type=direction, objective_metric_name=item.objective_metric_name)
    for bound in spec.outcome_constraints:
        message.outcome_constraints.add(metric_name=bound.metric_name, at_most=bound.at_most, at_least=bound.at_least)
    for assignment in spec.initial_assignments:
        entry = message.initial_assignments.add()
        for name, value in assignment.items():
            entry.assignments.add(name=name, value=value)


def parameter_conditions(messages: Iterable[api.ParameterCondition]) -> dict[str, ParameterCondition]:
    """When parameters are active, by name."""
    return {
        message.name: ParameterCondition(parent=message.parent, values=tuple(message.values)) for message in messages
    }


def parameter_message(parameter: ParameterSpec) -> api.ParameterSpec:
    """One parameter of the search space."""
    space = parameter.feasible_space
    return api.ParameterSpec(
        name=parameter.name,
        parameter_type=TYPES.get(parameter.parameter_type, api.UNKNOWN_TYPE),
        feasible_space=api.FeasibleSpace(
            max=space.max,
            min=space.min,
            step=space.step,
            list=space.values,
            distribution=DISTRIBUTIONS.get(space.distribution, api.DISTRIBUTION_UNSPECIFIED),
        ),
    )


def objective_message(objective: ObjectiveSpec) -> api.ObjectiveSpec:
    """The objective; an absent goal is 0.0 on the wire, as Katib has it."""
    return api.ObjectiveSpec(
        type=DIRECTIONS[objective.type] if objective.type is not None else api.UNKNOWN,
        goal=objective.goal or 0.0,
        objective_metric_name=objective.objective_metric_name,
        additional_metric_names=objective.additional_metric_names,
    )


def objectives(messages: Iterable[api.ObjectiveSpec]) -> tuple[Objective, ...]:
    """Several objectives."""
    directions = {number: direction for direction, number in DIRECTIONS.items()}
    return tuple(
        Objective(type=directions.get(message.type), objective_metric_name=message.objective_metric_name)
        for message in messages
    )


def outcome_constraints(messages: Iterable[api.OutcomeConstraint]) -> tuple[OutcomeConstraint, ...]:
    """Bounds on metrics."""
    return tuple(
        OutcomeConstraint(
            metric_name=message.metric_name,
            at_most=message.at_most if message.HasField("at_most") else None,
            at_least=message.at_least if message.HasField("at_least") else None,
        )
        for message in messages
    )


def initial_assignments(messages: Iterable[api.TrialSpec.ParameterAssignments]) -> tuple[dict[str, str], ...]:
    """What is proposed first."""
    return tuple({item.name: item.value for item in message.assignments} for message in messages)


def nas_message(config: NasConfig) -> api.NasConfig:
    """The outline and operations of an architecture search."""
    message = api.NasConfig()
    message.graph_config.num_layers = config.graph_config.num_layers or 0
    message.graph_config.input_sizes.extend(config.graph_config.input_sizes)
    message.graph_config.output_sizes.extend(config.graph_config.output_sizes)
    for operation in config.operations:
        entry = message.operations.operation.add(operation_type=operation.operation_type)
        entry.parameter_specs.parameters.extend(parameter_message(parameter) for parameter in operation.parameters)
    return message


def parameter_specs(messages: Iterable[api.ParameterSpec]) -> tuple[ParameterSpec, ...]:
    """The parameters of a search space."""
    return tuple(_parameter(message) for message in messages)


def objective(message: api.ObjectiveSpec) -> ObjectiveSpec:
    """The objective; the wire carries neither an absent goal nor strategies."""
    directions = {number: direction for direction, number in DIRECTIONS.items()}
    return ObjectiveSpec(
        type=directions.get(message.type),
        goal=message.goal,
        objective_metric_name=message.objective_metric_name,
        additional_metric_names=tuple(message.additional_metric_names),
    )


def algorithm(message: api.AlgorithmSpec | api.EarlyStoppingSpec) -> AlgorithmSpec:
    """An algorithm's name and settings."""
    return AlgorithmSpec.model_validate(
        {
            "algorithmName": message.algorithm_name,
            "algorithmSettings": [{"name": item.name, "value": item.value} for item in message.algorithm_settings],
        }
    )


def _parameter(message: api.ParameterSpec) -> ParameterSpec:
    types = {number: kind for kind, number in TYPES.items()}
    distributions = {number: kind for kind, number in DISTRIBUTIONS.items()}
    space = message.feasible_space
    return ParameterSpec(
        name=message.name,
        parameter_type=types.get(message.parameter_type, ParameterType.UNKNOWN),
        feasible_space=FeasibleSpace.model_validate(
            {
                "max": space.max,
                "min": space.min,
                "step": space.step,
                "list": tuple(space.list),
                "distribution": distributions.get(space.distribution),
            }
        ),
    )
