"""Tables of trials on terminals of any width."""

import io

import pytest
from rich.console import Console

from katib_py.cli.report import best_trials, summary, trials_table
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric, ObjectiveSpec, ObjectiveType
from katib_py.core.trial import Assignment, TrialRecord, TrialState

OBJECTIVE = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy")


@pytest.mark.parametrize("width", [50, 60, 80, 200])
def test_names_and_values_are_never_cut(width):
    assignment = Assignment("a-rather-long-name-x2k9w7bq", 0, (("rate", "0.125"), ("momentum", "0.75")))
    trial = TrialRecord(
        assignment, 0.0, TrialState.SUCCEEDED, observation=(Metric("accuracy", "0.912345", "0.912345", "0.912345"),)
    )
    out = Console(file=io.StringIO(), width=width)
    out.print(trials_table(OBJECTIVE, [trial], width))
    shown = out.file.getvalue()
    assert "…" not in shown
    assert "0.912345" in shown
    assert "0.125" in shown
    assert "".join(line.split("  ")[0].strip() for line in shown.splitlines()[3:]) == "a-rather-long-name-x2k9w7bq"


SPEC = {
    "objective": {"type": "maximize", "objectiveMetricName": "accuracy", "additionalMetricNames": ["ms"]},
    "objectives": [
        {"type": "maximize", "objectiveMetricName": "accuracy"},
        {"type": "minimize", "objectiveMetricName": "ms"},
    ],
    "outcomeConstraints": [{"metricName": "ms", "atMost": 20}],
}


def measured(name, accuracy, ms, labels=()):
    observation = tuple(Metric(key, text, text, text) for key, text in (("accuracy", accuracy), ("ms", ms)))
    return TrialRecord(Assignment(name, 0, (), labels), 0.0, TrialState.SUCCEEDED, observation=observation)


def judged(**fields):
    return default(Experiment.model_validate({"metadata": {"name": "demo"}, "spec": {**SPEC, **fields}}))


def test_of_several_objectives_the_front_is_shown():
    trials = [
        measured("slow", "0.99", "40"),
        measured("a", "0.9", "9"),
        measured("b", "0.8", "9"),
        measured("c", "0.7", "1"),
    ]
    names = [trial.name for trial in best_trials(judged().spec.judgement(), trials, 10)]
    assert names == ["a", "c"]


def test_trials_that_keep_to_the_constraints_are_shown_first_and_repeats_not_at_all():
    repeat = measured("repeat", "1.0", "1", (("katib.kubeflow.org/confirms", "a"), ("katib.kubeflow.org/seed", "1")))
    trials = [measured("slow", "0.99", "40"), measured("a", "0.9", "9"), repeat]
    names = [trial.name for trial in best_trials(judged(objectives=[]).spec.judgement(), trials, 10)]
    assert names == ["a", "slow"]


def test_the_summary_says_what_the_best_breaks_and_how_sure_its_mean_is():
    metrics = [{"name": "accuracy", "min": "0.9", "max": "0.9", "latest": "0.9"}]
    metrics.append({"name": "ms", "min": "40", "max": "40", "latest": "40"})
    status = {
        "trialsSucceeded": 3,
        "currentOptimalTrial": {"bestTrialName": "demo-x", "observation": {"metrics": metrics}},
        "confirmed": [
            {"trialName": "demo-x", "repeats": 2, "mean": 0.9, "low": 0.85, "high": 0.95},
            {"trialName": "demo-y", "repeats": 0},
        ],
        "paretoFront": ["demo-x", "demo-y"],
    }
    out = Console(file=io.StringIO(), width=200)
    summary(out, judged().model_copy(update={"status": status}))
    shown = out.file.getvalue()
    assert "It breaks ms <= 20: no trial keeps to all constraints." in shown
    assert "Confirmed demo-x: accuracy=0.9 (0.85 to 0.95) over 2 repeats" in shown
    assert "Confirmed demo-y: none of its repeats has a value" in shown
    assert "Pareto front: 2 trials" in shown
