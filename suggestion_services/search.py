"""What an experiment's message says to search, checked and parsed once."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.objective import as_number
from katib_py.core.outcome import Objective, OutcomeConstraint
from katib_py.core.space import ParameterSpec, ParameterType, number
from katib_py.core.validate.assignments import initial_problems
from katib_py.core.validate.outcome import outcome_problems
from katib_py.core.validate.parameters import parameters_problems
from katib_py.core.validate.region import region_problems
from katib_py.wire import api, convert
from suggestion_services.arrays import Floats, States
from suggestion_services.contract import NO_LABELS, PRIOR, Algorithm, Labels, Trials
from suggestion_services.feasibility import feasibility_problems
from suggestion_services.registry import Served, find
from suggestion_services.settings import configured
from suggestion_services.space import Space

Texts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Trials as columns; `keys` sort them canonically: by start time, then by name."""

    points: Floats
    losses: Floats
    states: States
    keys: list[str]
    labels: list[Labels]
    further: Floats | None = None
    excess: Floats | None = None

    def trials(self) -> Trials:
        """The same without names and labels."""
        return Trials(self.points, self.losses, self.states, self.further, self.excess)


@dataclass(frozen=True, slots=True)
class Search:
    """A search space, an algorithm, and how to read a trial. `key` names all that parsed trials depend on.

    `further` are the objectives after the first, `initial` the texts of what is to be tried first, by its point's.
    """

    space: Space
    algorithm: Algorithm
    seed: int
    metric: str
    maximize: bool
    max_trials: int
    key: bytes
    further: tuple[Objective, ...] = ()
    constraints: tuple[OutcomeConstraint, ...] = ()
    initial: Mapping[Texts, Texts] = field(default_factory=dict)
    initial_points: tuple[Floats, ...] = ()

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
            [_labels(trial) for trial in trials],
            self._rows(trials, len(self.further), self._further) if self.further else None,
            self._rows(trials, len(self.constraints), self._excess) if self.constraints else None,
        )

    def _rows(
        self, trials: Sequence[api.Trial], width: int, read: Callable[[Mapping[str, float]], list[float]]
    ) -> Floats:
        values = [read(_measured(trial)) for trial in trials]
        return np.array(values, dtype=np.float64).reshape(-1, width)

    def _further(self, values: Mapping[str, float]) -> list[float]:
        signs = ((item.objective_metric_name, -1.0 if item.maximize else 1.0) for item in self.further)
        return [sign * values.get(name, math.nan) for name, sign in signs]

    def _excess(self, values: Mapping[str, float]) -> list[float]:
        return [item.violation(values.get(item.metric_name)) / item.scale for item in self.constraints]

    def _loss(self, trial: api.Trial) -> float:
        metric = self.metric or trial.spec.objective.objective_metric_name
        values = [item.value for item in trial.status.observation.metrics if item.name == metric]
        value = as_number(values[-1]) if values else None
        if value is None:
            return math.nan
        return -value if self.maximize else value


def _labels(trial: api.Trial) -> Labels:
    if trial.prior:
        return PRIOR
    return dict(trial.spec.labels) if trial.spec.labels else NO_LABELS


def _measured(trial: api.Trial) -> dict[str, float]:
    found = ((item.name, as_number(item.value)) for item in trial.status.observation.metrics)
    return {name: value for name, value in found if value is not None}


def search_of(message: api.Experiment, served: Served) -> Search:
    """The search that the experiment describes; raises InvalidInput with every problem found."""
    spec = message.spec
    problems: list[Problem] = []
    algorithm = _algorithm(spec.algorithm, served, problems)
    parameters = tuple(_whole_step(item) for item in convert.parameter_specs(spec.parameter_specs.parameters))
    problems.extend(_space_problems(parameters))
    problems.extend(_extension_problems(spec, parameters))
    if not problems and algorithm is not None:
        conditions = convert.parameter_conditions(spec.parameter_conditions)
        space = Space.of(parameters, conditions, spec.parameter_constraints)
        # A raised maxTrialCount is no reason to stop a search that runs; `check` looks at it.
        problems.extend(algorithm.problems(space, 0))
        if not problems:
            initial = list(_initial(space, convert.initial_assignments(spec.initial_assignments)))
            return Search(
                space,
                algorithm,
                _seed(message, algorithm.random_state),
                spec.objective.objective_metric_name,
                spec.objective.type == api.MAXIMIZE,
                spec.max_trial_count,
                _digest(message.name, message.uid, *_reading(spec)),
                convert.objectives(spec.objectives)[1:],
                convert.outcome_constraints(spec.outcome_constraints),
                {space.texts(point): texts for point, texts in initial},
                tuple(point for point, _ in initial),
            )
    raise InvalidInput(problems)


def _initial(space: Space, assignments: Iterable[Mapping[str, str]]) -> Iterator[tuple[Floats, Texts]]:
    """What is to be tried first: its point, and its texts as the user wrote them, in the order of the parameters."""
    for texts in assignments:
        [point] = space.coordinates([space.read(texts)])
        yield point, tuple((name, texts[name]) for name in space.names if name in texts)


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


def _extension_problems(message: api.ExperimentSpec, parameters: tuple[ParameterSpec, ...]) -> Iterator[Problem]:
    """What is wrong beyond Katib's part of the message, where somebody asks who has not checked it."""
    spec = ExperimentSpec(
        parameters=parameters,
        objective=convert.objective(message.objective),
        parameter_conditions=convert.parameter_conditions(message.parameter_conditions),
        parameter_constraints=tuple(message.parameter_constraints),
        initial_assignments=convert.initial_assignments(message.initial_assignments),
        objectives=convert.objectives(message.objectives),
        outcome_constraints=convert.outcome_constraints(message.outcome_constraints),
    )
    yield from region_problems(spec)
    yield from initial_problems(spec)
    yield from outcome_problems(spec)


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
    more = (*spec.parameter_conditions, *spec.objectives, *spec.outcome_constraints)
    for message in (spec.parameter_specs, spec.objective, *more):
        yield from _text(message)


def _text(message: Any) -> tuple[str, ...]:
    return (message.SerializeToString(deterministic=True).hex(),)


def _digest(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode(), digest_size=16).digest()
