"""What an experiment's message says to search, checked and parsed once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.objective import as_number
from katib_py.core.space import ParameterSpec, ParameterType, number
from katib_py.core.validate.parameters import parameters_problems
from katib_py.core.validate.region import region_problems
from katib_py.wire import api, convert
from suggestion_services.arrays import Floats, States
from suggestion_services.contract import NO_LABELS, Algorithm, Labels
from suggestion_services.feasibility import feasibility_problems
from suggestion_services.registry import Served, find
from suggestion_services.settings import configured
from suggestion_services.space import Space


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials as columns; `keys` sort them canonically: by start time, then by name."""

    points: Floats
    losses: Floats
    states: States
    keys: list[str]
    labels: list[Labels]


@dataclass(frozen=True, slots=True)
class Search:
    """A search space, an algorithm, and how to read a trial. `key` names all that parsed trials depend on."""

    space: Space
    algorithm: Algorithm
    seed: int
    metric: str
    maximize: bool
    max_trials: int
    key: bytes

    def read(self, trials: Sequence[api.Trial]) -> Batch:
        """The trials as columns."""
        read = self.space.read
        rows = [
            read({item.name: item.value for item in trial.spec.parameter_assignments.assignments}) for trial in trials
        ]
        return Batch(
            self.space.coordinates(rows),
            np.array([self._loss(trial) for trial in trials], dtype=np.float64),
            np.array([trial.status.condition for trial in trials], dtype=np.int8),
            [f"{trial.status.start_time} {trial.name}" for trial in trials],
            [dict(trial.spec.labels) if trial.spec.labels else NO_LABELS for trial in trials],
        )

    def _loss(self, trial: api.Trial) -> float:
        metric = self.metric or trial.spec.objective.objective_metric_name
        values = [item.value for item in trial.status.observation.metrics if item.name == metric]
        value = as_number(values[-1]) if values else None
        if value is None:
            return math.nan
        return -value if self.maximize else value


def search_of(message: api.Experiment, served: Served) -> Search:
    """The search that the experiment describes; raises InvalidInput with every problem found."""
    spec = message.spec
    problems: list[Problem] = []
    algorithm = _algorithm(spec.algorithm, served, problems)
    parameters = tuple(_whole_step(item) for item in convert.parameter_specs(spec.parameter_specs.parameters))
    problems.extend(_space_problems(parameters))
    problems.extend(_region_problems(spec, parameters))
    if not problems and algorithm is not None:
        conditions = convert.parameter_conditions(spec.parameter_conditions)
        space = Space.of(parameters, conditions, spec.parameter_constraints)
        # A raised maxTrialCount is no reason to stop a search that runs; `check` looks at it.
        problems.extend(algorithm.problems(space, 0))
        if not problems:
            return Search(
                space,
                algorithm,
                _seed(message, algorithm.random_state),
                spec.objective.objective_metric_name,
                spec.objective.type == api.MAXIMIZE,
                spec.max_trial_count,
                _digest(message.name, message.uid, *_reading(spec)),
            )
    raise InvalidInput(problems)


def check(message: api.Experiment, served: Served) -> Search:
    """The search of an experiment that may start; raises InvalidInput with every problem found."""
    search = search_of(message, served)
    problems = [*search.algorithm.problems(search.space, search.max_trials), *feasibility_problems(search.space)]
    if problems:
        raise InvalidInput(problems)
    return search


def _algorithm(spec: api.AlgorithmSpec, served: Served, problems: list[Problem]) -> Algorithm | None:
    try:
        return configured(find(spec.algorithm_name, served), convert.algorithm(spec))
    except InvalidInput as error:
        problems.extend(error.problems)
        return None


def _space_problems(parameters: tuple[ParameterSpec, ...]) -> Iterator[Problem]:
    if not parameters:
        yield Problem("spec.parameters", "is empty; must list the hyperparameters to search")
    for problem in parameters_problems(parameters, "spec.parameters"):
        if problem.severity == "error":
            yield problem


def _region_problems(message: api.ExperimentSpec, parameters: tuple[ParameterSpec, ...]) -> Iterator[Problem]:
    spec = ExperimentSpec(
        parameters=parameters,
        parameter_conditions=convert.parameter_conditions(message.parameter_conditions),
        parameter_constraints=tuple(message.parameter_constraints),
    )
    yield from region_problems(spec)


def _whole_step(spec: ParameterSpec) -> ParameterSpec:
    """Katib's clients may give an int parameter a fractional step; its values are whole all the same."""
    if spec.parameter_type is not ParameterType.INT or not spec.feasible_space.step:
        return spec
    try:
        step = number(spec.feasible_space.step)
    except ValueError:
        return spec
    if step <= 0 or step == step.to_integral_value():
        return spec
    space = spec.feasible_space.model_copy(update={"step": str(max(step // 1, Decimal(1)))})
    return spec.model_copy(update={"feasible_space": space})


def _seed(message: api.Experiment, random_state: int | None) -> int:
    """The search's randomness: what the user asked for, else this experiment's own."""
    if random_state is not None:
        return int.from_bytes(_digest("random_state", str(random_state)), "big")
    identity = (message.uid,) if message.uid else (message.name, *_text(message.spec))
    return int.from_bytes(_digest("uid", *identity), "big")


def _reading(spec: api.ExperimentSpec) -> Iterator[str]:
    """What trials are read by."""
    for message in (spec.parameter_specs, spec.objective, *spec.parameter_conditions):
        yield from _text(message)


def _text(message: Any) -> tuple[str, ...]:
    return (message.SerializeToString(deterministic=True).hex(),)


def _digest(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).digest()
