from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.experiment import (
    AlgorithmSpec,
    Experiment,
    ExperimentSpec,
    GraphConfig,
    Metadata,
    NasConfig,
    Operation,
    Setting,
)
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.outcome import Objective, OutcomeConstraint
from katib_py.core.space import Distribution, FeasibleSpace, ParameterCondition, ParameterSpec, ParameterType
from katib_py.wire import api, convert

words = st.text(max_size=8)
int32 = st.integers(-(2**31), 2**31 - 1)
parameters = st.builds(
    ParameterSpec,
    name=words,
    parameter_type=st.sampled_from(ParameterType),
    feasible_space=st.builds(
        FeasibleSpace,
        min=words,
        max=words,
        step=words,
        values=st.lists(words, max_size=3).map(tuple),
        distribution=st.sampled_from([None, *(item for item in Distribution if item is not Distribution.UNKNOWN)]),
    ),
)
objectives = st.builds(
    ObjectiveSpec,
    type=st.sampled_from([None, *ObjectiveType]),
    goal=st.floats(allow_nan=False),
    objective_metric_name=words,
    additional_metric_names=st.lists(words, max_size=2).map(tuple),
)
settings = st.lists(st.builds(Setting, name=words, value=words), max_size=3, unique_by=lambda item: item.name).map(
    tuple
)
algorithms = st.builds(AlgorithmSpec, algorithm_name=words, algorithm_settings=settings)
experiments = st.builds(
    Experiment,
    metadata=st.builds(Metadata, name=words, uid=words),
    spec=st.builds(
        ExperimentSpec,
        parameters=st.lists(parameters, max_size=3).map(tuple),
        objective=objectives,
        algorithm=algorithms,
        early_stopping=algorithms,
        parallel_trial_count=int32,
        max_trial_count=int32,
    ),
)


@given(experiments)
def test_an_experiment_comes_back_as_it_went(experiment):
    message = api.Experiment.FromString(convert.experiment_message(experiment).SerializeToString())
    spec = experiment.spec
    assert (message.name, message.uid) == (experiment.name, experiment.metadata.uid)
    assert convert.parameter_specs(message.spec.parameter_specs.parameters) == spec.parameters
    assert convert.objective(message.spec.objective) == spec.objective
    assert convert.algorithm(message.spec.algorithm) == spec.algorithm
    assert convert.algorithm(message.spec.early_stopping) == spec.early_stopping
    assert message.spec.parallel_trial_count == spec.parallel_trial_count
    assert message.spec.max_trial_count == spec.max_trial_count


@given(experiments, st.dictionaries(words, words, max_size=3))
def test_settings_of_the_suggestion_overlay_those_of_the_experiment(experiment, overlay):
    message = convert.experiment_message(experiment, overlay)
    assert convert.algorithm(message.spec.algorithm).settings() == {**experiment.spec.algorithm.settings(), **overlay}


@given(parameters)
def test_a_parameter_comes_back_from_its_message(parameter):
    assert convert.parameter_specs([convert.parameter_message(parameter)]) == (parameter,)


def test_what_is_absent_has_the_empty_value_of_the_wire():
    message = convert.experiment_message(Experiment())
    assert message.spec.HasField("parameter_specs")
    assert not message.spec.HasField("early_stopping")
    assert not message.spec.HasField("nas_config")
    assert (message.spec.parallel_trial_count, message.spec.max_trial_count) == (0, 0)
    assert convert.objective_message(ObjectiveSpec()).goal == 0.0


def test_an_unknown_type_or_distribution_is_a_word_of_the_wire():
    space = FeasibleSpace(distribution=Distribution.UNKNOWN)
    message = convert.parameter_message(ParameterSpec(parameter_type=ParameterType.UNKNOWN, feasible_space=space))
    assert message.parameter_type == api.UNKNOWN_TYPE
    assert message.feasible_space.distribution == api.DISTRIBUTION_UNSPECIFIED


def test_an_architecture_search_is_described():
    parameter = ParameterSpec(
        name="size", parameter_type=ParameterType.INT, feasible_space=FeasibleSpace(min="1", max="3")
    )
    operation = Operation(operation_type="convolution", parameters=(parameter,))
    config = NasConfig(graph_config=GraphConfig(num_layers=4, input_sizes=(8, 8, 3)), operations=(operation,))
    message = convert.nas_message(config)
    assert (message.graph_config.num_layers, list(message.graph_config.input_sizes)) == (4, [8, 8, 3])
    [sent] = message.operations.operation
    assert convert.parameter_specs(sent.parameter_specs.parameters) == (parameter,)


def test_conditions_and_constraints_are_told():
    condition = ParameterCondition(parent="kernel", values=("rbf", "poly"), default="1")
    spec = ExperimentSpec(parameter_conditions={"gamma": condition}, parameter_constraints=("a > b",))
    message = convert.experiment_message(Experiment(spec=spec)).spec
    found = convert.parameter_conditions(message.parameter_conditions)
    assert found == {"gamma": ParameterCondition(parent="kernel", values=("rbf", "poly"))}
    assert list(message.parameter_constraints) == ["a > b"]


def test_objectives_bounds_and_first_assignments_come_back():
    objectives = tuple(
        Objective(type=direction, objective_metric_name=name)
        for direction, name in zip(ObjectiveType, "ab", strict=True)
    )
    constraints = (OutcomeConstraint(metric_name="a", at_most=0.0), OutcomeConstraint(metric_name="b", at_least=1.5))
    first = ({"lr": "0.1"}, {"lr": "1e-2", "opt": "sgd"})
    spec = ExperimentSpec(objectives=objectives, outcome_constraints=constraints, initial_assignments=first)
    message = api.Experiment.FromString(convert.experiment_message(Experiment(spec=spec)).SerializeToString()).spec
    assert convert.objectives(message.objectives) == objectives
    assert convert.outcome_constraints(message.outcome_constraints) == constraints
    assert convert.initial_assignments(message.initial_assignments) == first
