"""Tables and summaries on the terminal."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from katib_py.cli.progress import WORDS, span
from katib_py.core.confirm import repeat_of
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric, ObjectiveSpec, metric_text, objective_value
from katib_py.core.outcome import Judgement, OutcomeConstraint
from katib_py.core.pareto import Front
from katib_py.core.status import COUNTERS, read_status
from katib_py.core.tally import COMPETING
from katib_py.core.trial import TrialRecord


def best_trials(judgement: Judgement, trials: Iterable[TrialRecord], count: int) -> list[TrialRecord]:
    """The best trials, best first, of equal ones the earlier first; of several objectives some of the Pareto front."""
    objective = judgement.objective
    competing = [trial for trial in trials if trial.state in COMPETING and repeat_of(trial.assignment) is None]
    if judgement.objectives and (front := _front(judgement, competing, count)):
        return front
    ranked = (
        (-judgement.violation(trial.observation), value if objective.maximize else -value, -order, trial)
        for order, trial in enumerate(competing)
        if (value := objective_value(objective, trial.observation)) is not None
    )
    return [trial for *_, trial in heapq.nlargest(count, ranked, key=lambda item: item[:3])]


def _front(judgement: Judgement, trials: Iterable[TrialRecord], count: int) -> list[TrialRecord]:
    front, known = Front(), {}
    for trial in trials:
        losses = judgement.losses(trial.observation)
        if losses is not None and not judgement.violation(trial.observation) and front.add(trial.name, losses):
            known[trial.name] = trial
    return [known[name] for name in front.names(count)]


def trials_table(objective: ObjectiveSpec, trials: list[TrialRecord], width: int = 200) -> Table:
    """One row per trial: metrics, parameters, how long it ran. Where `width` is small, parameters share a column."""
    names = list(dict.fromkeys(name for trial in trials for name, _ in trial.assignment.parameters))
    roomy = sum(max(len(name), 9) + 2 for name in names) + 40 + 10 * len(objective.metric_names) <= width
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # A name that is cut cannot be used in the next command, so it is folded where there is no room.
    table.add_column("trial", no_wrap=roomy, overflow="fold")
    for metric in objective.metric_names:
        style = "green" if metric == objective.objective_metric_name else ""
        table.add_column(metric, justify="right", style=style, no_wrap=True)
    for name in names if roomy else ["parameters"]:
        table.add_column(name, justify="right" if roomy else "left", overflow="fold", min_width=None if roomy else 12)
    table.add_column("time", justify="right", style="dim", no_wrap=True)
    for trial in trials:
        parameters = {name: short(text) for name, text in trial.assignment.parameters}
        cells = [parameters.get(name, "") for name in names]
        together = " ".join(f"{name}={text}" for name, text in parameters.items())
        table.add_row(trial.name, *_metrics(objective, trial), *(cells if roomy else [together]), _seconds(trial))
    return table


def short(text: str, width: int = 32) -> str:
    """A parameter's value as a table shows it: numbers to six digits, long text cut."""
    try:
        number = float(text)
    except ValueError:
        return text if len(text) <= width else f"{text[: width - 1]}…"
    return text if len(text) <= 8 else f"{number:.6g}"


def summary(console: Console, experiment: Experiment) -> None:
    """How the experiment stands by its status, in a line or two."""
    fields, status = experiment.status, read_status(experiment.status)
    if (verdict := status.verdict) is not None:
        entry = status.find("Succeeded" if verdict.succeeded else "Failed")
        head = Text("Succeeded", "bold green") if verdict.succeeded else Text("Failed", "bold red")
        message = entry.message if entry is not None else ""
        console.print(head.append(f" {verdict.reason}: {message}", "not bold default"), soft_wrap=True)
    counted = {state: fields.get(counter, 0) for state, (counter, _) in COUNTERS.items()}
    counts = ", ".join(f"{count} {WORDS[state]}" for state, count in counted.items() if count)
    took = ""
    if status.start is not None and status.completion is not None:
        took = f" in {span(max(0.0, status.completion - status.start - status.uncounted))}"
    console.print(f"{sum(counted.values())} trials{took}: {counts or 'none'}")
    if sum(counted.values()) and not best_of(experiment):
        console.print(Text("No trial has brought a value of the objective.", "bold yellow"))
    if best := best_of(experiment):
        console.print(f"Best {best}, trial {fields['currentOptimalTrial']['bestTrialName']}", soft_wrap=True)
        if broken := broken_by_best(experiment):
            console.print(Text(f"It breaks {broken}: no trial keeps to all constraints.", "bold yellow"))
    for entry in fields.get("confirmed", ()):
        console.print(f"Confirmed {confirmed_words(experiment, entry)}", soft_wrap=True)
    if front := fields.get("paretoFront"):
        console.print(f"Pareto front: {len(front)} trials, of which none betters another in every objective")


def best_of(experiment: Experiment) -> str:
    """The best value so far as the status has it: `accuracy=0.97`; empty where there is none."""
    objective = experiment.spec.objective
    metrics = experiment.status.get("currentOptimalTrial", {}).get("observation", {}).get("metrics", ())
    for metric in metrics:
        if objective is not None and metric["name"] == objective.objective_metric_name:
            text = metric_text(Metric(**metric), objective.strategy_of(metric["name"]))
            return f"{metric['name']}={short(text)}"
    return ""


def confirmed_words(experiment: Experiment, entry: Mapping[str, Any]) -> str:
    """One of the best trials by its repeats: demo-x: accuracy=0.97 (0.96 to 0.98) over 3 repeats."""
    metric = experiment.spec.objective.objective_metric_name if experiment.spec.objective is not None else "mean"
    if "mean" not in entry:
        return f"{entry['trialName']}: none of its repeats has a value"
    bounds = f" ({entry['low']:.6g} to {entry['high']:.6g})" if "low" in entry else ""
    times = f"{entry['repeats']} repeat{'s' if entry['repeats'] > 1 else ''}"
    return f"{entry['trialName']}: {metric}={entry['mean']:.6g}{bounds} over {times}"


def broken_by_best(experiment: Experiment) -> str:
    """The outcome constraints that the best trial does not keep to, in words."""
    metrics = experiment.status.get("currentOptimalTrial", {}).get("observation", {}).get("metrics", ())
    observation = [Metric(**metric) for metric in metrics]
    if experiment.spec.objective is None or not observation:
        return ""
    judgement = experiment.spec.judgement()
    broken = [item for item in judgement.constraints if replace(judgement, constraints=(item,)).violation(observation)]
    return ", ".join(constraint_words(item) for item in broken)


def constraint_words(constraint: OutcomeConstraint) -> str:
    """An outcome constraint as it would be said: 1 <= latency <= 20."""
    low = f"{constraint.at_least:g} <= " if constraint.at_least is not None else ""
    high = f" <= {constraint.at_most:g}" if constraint.at_most is not None else ""
    return f"{low}{constraint.metric_name}{high}"


def _metrics(objective: ObjectiveSpec, trial: TrialRecord) -> list[str]:
    values = {metric.name: metric_text(metric, objective.strategy_of(metric.name)) for metric in trial.observation}
    return [short(values.get(name, "")) for name in objective.metric_names]


def _seconds(trial: TrialRecord) -> str:
    if trial.started is None or trial.completed is None:
        return ""
    return f"{trial.completed - trial.started:.1f} s"
