"""One search, from its first to its last evaluation, by one of ours or by a peer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.quality.problems import Problem
from katib_py.core.experiment import AlgorithmSpec, Experiment, ExperimentSpec, Metadata
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.space import Choice, ParameterSpec, Range, parse_parameter
from katib_py.wire import api, convert, history
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService

Loss = Callable[[Mapping[str, str]], float]


def ours(algorithm: str, problem: Problem, seed: int, budget: int, batch: int) -> Iterator[float]:
    """The losses in order, asked of a suggestion service in this process."""
    service = SuggestionService(ALGORITHMS)
    spec = ExperimentSpec(
        parameters=problem.parameters,
        objective=ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="loss"),
        algorithm=AlgorithmSpec(algorithm_name=algorithm),
    )
    message = convert.experiment_message(Experiment(metadata=Metadata(name="quality", uid=f"{seed}"), spec=spec))
    prefix, trials = api.HistoryPrefix(), []
    for asked in range(0, budget, batch):
        count = min(batch, budget - asked)
        request = api.GetSuggestionsRequest(
            experiment=message,
            trials=trials,
            current_request_number=count,
            total_request_number=asked + count,
            history=prefix,
        )
        reply = service.GetSuggestions(request.SerializeToString(), None)
        for trial in trials:
            prefix.digest = history.extend(prefix.digest, trial)
        prefix.count += len(trials)
        trials = [
            _trial(asked + place, item.assignments, problem) for place, item in enumerate(reply.parameter_assignments)
        ]
        yield from (float(trial.status.observation.metrics[0].value) for trial in trials)


def _trial(index: int, assignments: Any, problem: Problem) -> api.Trial:
    loss = problem.loss({item.name: item.value for item in assignments})
    trial = api.Trial(name=f"t{index:06d}")
    trial.spec.parameter_assignments.assignments.extend(assignments)
    trial.status.condition = api.TrialStatus.SUCCEEDED
    trial.status.start_time = f"2026-01-01T{index // 3600:02d}:{index // 60 % 60:02d}:{index % 60:02d}Z"
    trial.status.observation.metrics.add(name="loss", value=repr(loss))
    return trial


def optuna_tpe(multivariate: bool, problem: Problem, seed: int, budget: int, batch: int) -> Iterator[float]:
    """The losses in order, asked of Optuna's TPESampler with its constant liar."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=multivariate, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    for asked in range(0, budget, batch):
        trials = [study.ask() for _ in range(min(batch, budget - asked))]
        losses = [
            problem.loss({item.name: _optuna_value(trial, item) for item in problem.parameters}) for trial in trials
        ]
        for trial, loss in zip(trials, losses, strict=True):
            study.tell(trial, loss)
        yield from losses


def _optuna_value(trial: Any, spec: ParameterSpec) -> str:
    parameter = parse_parameter(spec)
    match parameter:
        case Choice(ordered=True):
            return parameter.values[trial.suggest_int(spec.name, 0, parameter.points - 1)]
        case Choice():
            return str(trial.suggest_categorical(spec.name, list(parameter.values)))
        case Range(integer=True):
            step = int(parameter.step or 1)
            log = parameter.distribution.logarithmic
            return str(trial.suggest_int(spec.name, int(parameter.low), int(parameter.high), step=step, log=log))
    if parameter.step is not None:
        return parameter.value_at(trial.suggest_int(spec.name, 0, (parameter.points or 1) - 1))
    log = parameter.distribution.logarithmic
    return repr(trial.suggest_float(spec.name, float(parameter.low), float(parameter.high), log=log))
