"""What there is to know of an experiment or a trial, as labelled lines."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from katib_py.cli.progress import WORDS, span
from katib_py.cli.report import best_of, confirmed_words, constraint_words, short
from katib_py.core.errors import listed
from katib_py.core.experiment import AlgorithmSpec, Experiment, ExperimentSpec
from katib_py.core.objective import ObjectiveSpec, metric_text
from katib_py.core.space import ParameterCondition, ParameterSpec
from katib_py.core.status import COUNTERS, ExperimentStatus, read_status
from katib_py.core.trial import TrialRecord

Fact = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class View:
    """An experiment and what else is known of it at the moment `now`, seconds since the epoch.

    `settings` overlay those of the algorithm; `live` are the trials that have not finished; `driven` says by whom it is
    driven, empty where nobody does; `unimproved` counts the finished trials since the best one, where that is known.
    """

    experiment: Experiment
    now: float
    settings: Sequence[tuple[str, str]] = ()
    live: Sequence[TrialRecord] = ()
    driven: str = ""
    unimproved: int | None = None

    @property
    def status(self) -> ExperimentStatus:
        """The experiment's status."""
        return read_status(self.experiment.status)


def experiment_facts(view: View) -> list[Fact]:
    """An experiment from its state to its best trial; what there is nothing to say of is left out."""
    spec = view.experiment.spec
    facts = [
        ("state", _state(view)),
        ("engine", _engine(view)),
        ("waiting", _waiting(view)),
        ("time", _time(view)),
        ("trials", [_trials(view.experiment.status)]),
        ("objective", _objective(spec.objective)),
        ("also", [f"{item.type} {item.objective_metric_name}" for item in spec.objectives[1:]]),
        ("within", [constraint_words(item) for item in spec.outcome_constraints]),
        ("algorithm", _algorithm(spec.algorithm, view.settings)),
        ("stopper", _algorithm(spec.early_stopping, ())),
        ("search", [_parameter(parameter) for parameter in spec.parameters]),
        ("only if", [_condition(name, item) for name, item in spec.parameter_conditions.items()]),
        ("so that", list(spec.parameter_constraints)),
        ("first", [_values(item.items()) for item in spec.initial_assignments]),
        ("from", list(spec.warm_start)),
        ("budget", list(_budget(view))),
        ("resume", [spec.resume_policy] if spec.resume_policy else []),
        ("best", _best(view.experiment)),
        (
            "confirmed",
            [confirmed_words(view.experiment, entry) for entry in view.experiment.status.get("confirmed", ())],
        ),
        ("front", [listed(view.experiment.status.get("paretoFront", ()))]),
    ]
    return [(label, lines) for label, lines in facts if any(lines)]


def trial_facts(objective: ObjectiveSpec, trial: TrialRecord, now: float) -> list[Fact]:
    """A trial from its state to its times; what there is nothing to say of is left out."""
    since = trial.completed or trial.started or trial.created
    state = f"{trial.state.value} since {moment(since, now)}"
    waits = [f"{trial.waiting.reason}: {trial.waiting.message}"] if trial.waiting else []
    stop = [f"{trial.stop.kind.value}: {trial.stop.message}"] if trial.stop and not trial.state.finished else []
    metrics = [
        f"{metric.name} = {metric_text(metric, objective.strategy_of(metric.name))}"
        f"  (min {metric.min}, max {metric.max}, latest {metric.latest})"
        for metric in trial.observation
    ]
    facts = [
        ("state", [state]),
        ("reason", [trial.reason] if trial.reason else []),
        ("message", trial.message.splitlines()),
        ("waiting", waits),
        ("stopping", stop),
        ("parameters", [f"{name} = {value}" for name, value in trial.assignment.parameters]),
        ("labels", [f"{name} = {value}" for name, value in trial.assignment.labels]),
        ("metrics", metrics or ["none yet" if not trial.state.finished else "none"]),
        ("attempt", [_attempt(trial)]),
        ("times", _times(trial, now)),
    ]
    return [(label, lines) for label, lines in facts if lines]


def moment(seconds: float, now: float) -> str:
    """When that was by the clock of this machine, and how long ago."""
    return f"{clock(seconds)}, {span(max(0.0, now - seconds))} ago"


def clock(seconds: float) -> str:
    """Seconds since the epoch by the clock of this machine."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _state(view: View) -> list[str]:
    status, paused = view.status, view.experiment.spec.suspend
    if status.verdict is None and (paused or status.suspended_since is not None):
        since = f" since {moment(status.suspended_since, view.now)}" if status.suspended_since is not None else ""
        return [f"Suspended{since}"]
    if not status.conditions:
        return ["Created, and not begun"]
    entry = status.conditions[-1]
    return [f"{entry.type} since {moment(entry.changed, view.now)}", f"{entry.reason}: {entry.message}"]


def _engine(view: View) -> list[str]:
    if view.status.verdict is not None:
        return []
    return [view.driven or "none drives it: `katib-py run` with its file goes on with it"]


def _waiting(view: View) -> list[str]:
    """What the experiment waits for, and its trials, each reason once."""
    if view.status.verdict is not None:
        return []
    conditions = view.experiment.status.get("conditions") or ()
    own = [f"{entry['reason']}: {entry['message']}" for entry in conditions if entry.get("type") == "Waiting"]
    trials: dict[str, list[str]] = {}
    for trial in view.live:
        if trial.waiting is not None:
            trials.setdefault(f"{trial.waiting.reason}: {trial.waiting.message}", []).append(trial.name)
    return [*own, *(f"{words} ({listed(names, 3)})" for words, names in trials.items() if words not in own)]


def _time(view: View) -> list[str]:
    status = view.status
    if status.start is None:
        return []
    active = status.active_seconds(status.completion or view.now)
    paused = f", suspended for {span(status.uncounted)} of it" if status.uncounted >= 1 else ""
    verb = "ran" if status.verdict is not None else "has run"
    return [f"{verb} for {span(active)}; begun {moment(status.start, view.now)}{paused}"]


def _trials(fields: Mapping[str, Any]) -> str:
    parts = [f"{count} {WORDS[state]}" for state, (counter, _) in COUNTERS.items() if (count := fields.get(counter))]
    for word in ("running", "pending"):
        parts += [f"{count} {word}"] if (count := fields.get(f"trials{word.title()}")) else []
    return f"{fields.get('trials', 0)}{': ' if parts else ''}{', '.join(parts)}"


def _objective(objective: ObjectiveSpec | None) -> list[str]:
    if objective is None or objective.type is None:
        return []
    goal = "no goal" if objective.goal is None else f"goal {objective.goal:g}"
    others = f"; also {', '.join(objective.additional_metric_names)}" if objective.additional_metric_names else ""
    return [f"{objective.type.value} {objective.objective_metric_name}, {goal}{others}"]


def _algorithm(algorithm: AlgorithmSpec | None, overlay: Sequence[tuple[str, str]]) -> list[str]:
    if algorithm is None or not algorithm.algorithm_name:
        return []
    settings = {**algorithm.settings(), **dict(overlay)}
    words = ", ".join(f"{name}={value}" for name, value in settings.items())
    return [f"{algorithm.algorithm_name}{f' with {words}' if words else ''}"]


def _condition(name: str, condition: ParameterCondition) -> str:
    return f"{name}: {condition.parent} is {' or '.join(condition.values)}"


def _parameter(parameter: ParameterSpec) -> str:
    space, kind = parameter.feasible_space, parameter.parameter_type
    values = f"one of {listed(space.values)}" if space.values else f"{space.min} to {space.max}"
    step = f" by {space.step}" if space.step else ""
    distribution = space.distribution.value if space.distribution is not None and not space.values else ""
    words = " ".join(word for word in (kind.value if kind is not None else "", distribution) if word)
    return f"{parameter.name}: {values}{step} ({words})"


def _budget(view: View) -> Iterator[str]:
    spec, status, fields = view.experiment.spec, view.status, view.experiment.status
    finished = sum(fields.get(counter, 0) for counter, _ in COUNTERS.values())
    failed = fields.get("trialsFailed", 0) + fields.get("trialMetricsUnavailable", 0)
    if spec.max_trial_count is not None:
        repeats = spec.confirm.top * spec.confirm.repeats if spec.confirm is not None else 0
        words = "maxTrialCount and confirm" if repeats else "maxTrialCount"
        yield f"{finished} of {spec.max_trial_count + repeats} trials finished ({words})"
    if spec.parallel_trial_count is not None:
        yield f"{len(view.live)} of {spec.parallel_trial_count} at a time (parallelTrialCount)"
    if spec.max_failed_trial_count is not None:
        yield f"{failed} of {spec.max_failed_trial_count} failures (maxFailedTrialCount)"
    if spec.max_duration_seconds is not None:
        spent = span(status.active_seconds(status.completion or view.now))
        yield f"{spent} of {span(spec.max_duration_seconds)} (maxDurationSeconds)"
    if (patience := _patience(spec)) is not None and view.unimproved is not None:
        yield f"{view.unimproved} of {patience} trials since the best one (stopWhen.trialsWithoutImprovement)"


def _patience(spec: ExperimentSpec) -> int | None:
    return spec.stop_when.trials_without_improvement if spec.stop_when is not None else None


def _best(experiment: Experiment) -> list[str]:
    optimal = experiment.status.get("currentOptimalTrial", {})
    if not (value := best_of(experiment)):
        return ["none yet"]
    parameters = ((entry["name"], entry["value"]) for entry in optimal.get("parameterAssignments", ()))
    return [
        f"{value}, trial {optimal['bestTrialName']}",
        _values(parameters),
    ]


def _values(parameters: Iterable[tuple[str, str]]) -> str:
    return " ".join(f"{name}={short(text)}" for name, text in parameters)


def _attempt(trial: TrialRecord) -> str:
    extra = [("after a failure", trial.retries), ("after a loss", trial.disruptions)]
    words = ", ".join(f"{count} {why}" for why, count in extra if count)
    return f"{trial.attempt}{f' ({words})' if words else ''}"


def _times(trial: TrialRecord, now: float) -> list[str]:
    known = (("created", trial.created), ("started", trial.started), ("ended", trial.completed))
    lines = [f"{word} {moment(when, now)}" for word, when in known if when is not None]
    if trial.started is not None:
        end = trial.completed
        lines.append(f"{'ran' if end is not None else 'has run'} for {span(max(0.0, (end or now) - trial.started))}")
    return lines
