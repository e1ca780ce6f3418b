"""Tables and summaries on the terminal."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from katib_py.cli.progress import WORDS, span
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric, ObjectiveSpec, metric_text, objective_value
from katib_py.core.status import COUNTERS, read_status
from katib_py.core.tally import COMPETING
from katib_py.core.trial import TrialRecord


def best_trials(objective: ObjectiveSpec, trials: Iterable[TrialRecord], count: int) -> list[TrialRecord]:
    """The best trials, best first; of equal ones the earlier first."""
    ranked = (
        (value if objective.maximize else -value, -order, trial)
        for order, trial in enumerate(trials)
        if trial.state in COMPETING and (value := objective_value(objective, trial.observation)) is not None
    )
    return [trial for _, _, trial in heapq.nlargest(count, ranked, key=lambda item: item[:2])]


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


def best_of(experiment: Experiment) -> str:
    """The best value so far as the status has it: `accuracy=0.97`; empty where there is none."""
    objective = experiment.spec.objective
    metrics = experiment.status.get("currentOptimalTrial", {}).get("observation", {}).get("metrics", ())
    for metric in metrics:
        if objective is not None and metric["name"] == objective.objective_metric_name:
            text = metric_text(Metric(**metric), objective.strategy_of(metric["name"]))
            return f"{metric['name']}={short(text)}"
    return ""


def _metrics(objective: ObjectiveSpec, trial: TrialRecord) -> list[str]:
    values = {metric.name: metric_text(metric, objective.strategy_of(metric.name)) for metric in trial.observation}
    return [short(values.get(name, "")) for name in objective.metric_names]


def _seconds(trial: TrialRecord) -> str:
    if trial.started is None or trial.completed is None:
        return ""
    return f"{trial.completed - trial.started:.1f} s"
