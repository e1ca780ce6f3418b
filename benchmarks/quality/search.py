"""Optimisers that are asked for points and told their losses: ours by the service that a cluster runs, and peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

from benchmarks.quality.pipe import Pipe
from benchmarks.quality.problems import Values
from katib_py.core.experiment import AlgorithmSpec, Experiment, ExperimentSpec, Metadata
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.space import Choice, ParameterSpec, Range, decimal_text, parse_parameter
from katib_py.wire import api, convert, history
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService

METRIC = "loss"
Parameters = Sequence[ParameterSpec]


class Optimiser(Protocol):
    """A search under way."""

    def ask(self, count: int) -> list[Values]:
        """So many points, or fewer."""

    def tell(self, losses: Sequence[float]) -> None:
        """The losses of the points asked last, in their order."""

    def close(self) -> None:
        """End it."""


class Ours:
    """A SuggestionService in this process, spoken to in its own messages. Any number of trials may be active."""

    def __init__(self, name: str, parameters: Parameters, seed: int, settings: Mapping[str, str] | None = None) -> None:
        self._service = SuggestionService(ALGORITHMS)
        pairs = [{"name": key, "value": value} for key, value in (settings or {}).items()]
        algorithm = AlgorithmSpec.model_validate({"algorithmName": name, "algorithmSettings": pairs})
        spec = ExperimentSpec(
            parameters=tuple(parameters),
            objective=ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name=METRIC),
            algorithm=algorithm,
        )
        experiment = Experiment(metadata=Metadata(name="quality", uid=f"{seed}"), spec=spec)
        self._message = convert.experiment_message(experiment)
        self._prefix = api.HistoryPrefix()
        self._finished: list[api.Trial] = []
        self._active: dict[str, api.Trial] = {}
        self._asked = self._clock = 0
        self._last: list[str] = []

    def ask(self, count: int) -> list[Values]:
        """So many points, or fewer."""
        trials = self.start(count)
        self._last = [name for name, _ in trials]
        return [values for _, values in trials]

    def tell(self, losses: Sequence[float]) -> None:
        """The losses of the points asked last, in their order."""
        for name, loss in zip(self._last, losses, strict=True):
            self.finish(name, loss)

    def start(self, count: int) -> list[tuple[str, Values]]:
        """New trials by name with their values; they are active until they are finished."""
        request = api.GetSuggestionsRequest(
            experiment=self._message,
            trials=[*self._finished, *self._active.values()],
            current_request_number=count,
            total_request_number=self._asked + count,
            history=self._prefix,
        )
        reply = self._service.GetSuggestions(request.SerializeToString(), None)
        self._accept()
        fresh = [self._trial(item) for item in reply.parameter_assignments]
        self._asked += len(fresh)
        return [
            (trial.name, {item.name: item.value for item in trial.spec.parameter_assignments.assignments})
            for trial in fresh
        ]

    def labels(self, name: str) -> Mapping[str, str]:
        """What the suggestion of an active trial was labelled with."""
        return dict(self._active[name].spec.labels)

    def finish(self, name: str, loss: float) -> None:
        """A trial has this loss."""
        trial = self._active.pop(name)
        trial.status.condition = api.TrialStatus.SUCCEEDED
        trial.status.observation.metrics.add(name=METRIC, value=repr(loss))
        self._finished.append(trial)

    def _accept(self) -> None:
        """What was sent is known to the service now."""
        for trial in self._finished:
            self._prefix.digest = history.extend(self._prefix.digest, trial)
        self._prefix.count += len(self._finished)
        self._finished = []

    def _trial(self, item: Any) -> api.Trial:
        self._clock += 1
        trial = api.Trial(name=item.trial_name or f"t{self._clock:06d}")
        trial.spec.parameter_assignments.assignments.extend(item.assignments)
        trial.spec.labels.update(item.labels)
        trial.status.condition = api.TrialStatus.RUNNING
        hours, minutes, seconds = self._clock // 3600, self._clock // 60 % 60, self._clock % 60
        trial.status.start_time = f"2026-01-01T{hours:02d}:{minutes:02d}:{seconds:02d}Z"
        self._active[trial.name] = trial
        return trial

    def close(self) -> None:
        """Nothing is held."""


class Peer:
    """An optimiser of another library in its own environment."""

    def __init__(self, name: str, parameters: Parameters, seed: int, python: Path) -> None:
        self._parameters = [parse_parameter(spec) for spec in parameters]
        space = [_described(item) for item in self._parameters]
        self._pipe = Pipe(python, {"what": name, "seed": seed, "space": space})
        self.version: str = self._pipe.started["version"]

    def ask(self, count: int) -> list[Values]:
        """So many points."""
        rows = self._pipe.call({"do": "ask", "count": count})["points"]
        return [
            {item.name: _text(item, value) for item, value in zip(self._parameters, row, strict=True)} for row in rows
        ]

    def tell(self, losses: Sequence[float]) -> None:
        """The losses of the points asked last, in their order."""
        self._pipe.call({"do": "tell", "losses": list(losses)})

    def close(self) -> None:
        """End the program."""
        self._pipe.close()


def _described(item: Range | Choice) -> dict[str, Any]:
    """A parameter as peers/samplers.py takes it."""
    if isinstance(item, Choice):
        if item.ordered:
            return {"name": item.name, "kind": "ordinal", "count": item.points}
        return {"name": item.name, "kind": "categorical", "values": list(item.values)}
    if item.points is not None and not (item.integer and item.step == 1):
        return {"name": item.name, "kind": "ordinal", "count": item.points}
    kind, number = ("int", int) if item.integer else ("float", float)
    ends = {"low": number(item.low), "high": number(item.high)}
    return {"name": item.name, "kind": kind, **ends, "log": item.distribution.logarithmic}


def _text(item: Range | Choice, value: Any) -> str:
    """A peer's value as an Experiment writes it."""
    if isinstance(item, Choice):
        return item.values[value] if item.ordered else str(value)
    if item.points is None:
        return decimal_text(min(max(Decimal(repr(value)), item.low), item.high))
    return str(int(value)) if item.integer and item.step == 1 else item.value_at(int(value))
