"""A controller that is played: it asks for assignments, invents what they measure, and remembers."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from katib_py.cli.conformance.spaces import SearchSpace
from katib_py.cli.conformance.subject import Subject
from katib_py.wire import api

METRIC: Final = "loss"
BEGIN: Final = datetime(2026, 1, 1, tzinfo=UTC)

Pairs = tuple[tuple[str, str], ...]


def experiment(
    parameters: Sequence[api.ParameterSpec], algorithm: str, settings: Mapping[str, str], name: str = ""
) -> api.Experiment:
    """An experiment with a name of its own that minimises a loss."""
    message = api.Experiment(name=name or f"conformance-{uuid.uuid4().hex[:8]}", uid=str(uuid.uuid4()))
    message.spec.parameter_specs.parameters.extend(parameters)
    message.spec.objective.type = api.MINIMIZE
    message.spec.objective.objective_metric_name = METRIC
    message.spec.algorithm.algorithm_name = algorithm
    for key, value in settings.items():
        message.spec.algorithm.algorithm_settings.add(name=key, value=value)
    message.spec.parallel_trial_count = 3
    return message


def renewed(message: api.Experiment) -> api.Experiment:
    """The same experiment under another name and uid."""
    other = api.Experiment()
    other.CopyFrom(message)
    other.name, other.uid = f"conformance-{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    return other


class Player:
    """One experiment's controller, which asks as Katib's does: with every trial, and for an exact count."""

    def __init__(self, subject: Subject, message: api.Experiment) -> None:
        self.message = message
        self.space = SearchSpace(message.spec.parameter_specs.parameters)
        self.trials: list[api.Trial] = []
        self.entries: list[Pairs] = []
        self.names: list[str] = []
        self.asked = 0
        self._subject = subject

    def request(self, count: int) -> api.GetSuggestionsRequest:
        """The question for so many more."""
        return api.GetSuggestionsRequest(
            experiment=self.message,
            trials=self.trials,
            current_request_number=count,
            total_request_number=self.asked + count,
        )

    def ask(self, count: int) -> list[Pairs]:
        """New assignments, which become running trials; raises Refused."""
        reply = self._subject.suggest(self.request(count))
        for entry in reply.parameter_assignments:
            values = pairs(entry)
            self.entries.append(values)
            self.names.append(entry.trial_name)
            self.asked += 1
            self.trials.append(self._trial(self.asked, values, entry.trial_name, entry.labels))
        return [pairs(entry) for entry in reply.parameter_assignments]

    def finish(self) -> None:
        """Every running trial succeeds."""
        for trial in self.trials:
            if trial.status.condition == api.TrialStatus.RUNNING:
                self.conclude(trial, api.TrialStatus.SUCCEEDED, repr(self.space.loss(dict(_values(trial)))))

    def conclude(self, trial: api.Trial, condition: api.TrialStatus.TrialConditionType, value: str | None) -> None:
        """A trial ends so, and has measured this."""
        trial.status.condition = condition
        trial.status.completion_time = trial.status.start_time
        if value is not None:
            name = self.message.spec.objective.objective_metric_name
            trial.status.observation.metrics.add(name=name, value=value)

    def invent(self, count: int) -> None:
        """So many trials succeed that the service has not proposed."""
        for index in range(count):
            self.asked += 1
            trial = self._trial(self.asked, tuple(self.space.corner(index).items()), "", {})
            self.trials.append(trial)
            self.conclude(trial, api.TrialStatus.SUCCEEDED, repr(self.space.loss(dict(_values(trial)))))

    def _trial(self, number: int, values: Pairs, name: str, labels: Mapping[str, str]) -> api.Trial:
        trial = api.Trial(name=name or f"{self.message.name}-{number:06d}")
        trial.spec.objective.CopyFrom(self.message.spec.objective)
        trial.spec.labels.update(labels)
        for key, value in values:
            trial.spec.parameter_assignments.assignments.add(name=key, value=value)
        trial.status.condition = api.TrialStatus.RUNNING
        trial.status.start_time = f"{BEGIN + timedelta(seconds=number):%Y-%m-%dT%H:%M:%SZ}"
        return trial


def pairs(entry: api.GetSuggestionsReply.ParameterAssignments) -> Pairs:
    """The names and values of one assignment."""
    return tuple((item.name, item.value) for item in entry.assignments)


def _values(trial: api.Trial) -> Iterable[tuple[str, str]]:
    return ((item.name, item.value) for item in trial.spec.parameter_assignments.assignments)
