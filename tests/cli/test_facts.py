"""What is said of experiments and trials, in words."""

import pytest

from katib_py.cli.facts import View, experiment_facts, trial_facts
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric, ObjectiveSpec, ObjectiveType
from katib_py.core.status import time_text
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState, Waiting

NOW = 1_000_000.0
OBJECTIVE = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, goal=0.9, objective_metric_name="acc")


def condition(kind, ago=60.0, reason="Because"):
    since = time_text(NOW - ago)
    return {"type": kind, "status": "True", "reason": reason, "message": "so it is", "lastTransitionTime": since}


def experiment(spec=None, **status):
    began = {"startTime": time_text(NOW - 120), "conditions": [condition("Created"), condition("Running")]}
    given = {"objective": OBJECTIVE.dump(), "maxTrialCount": 10, **(spec or {})}
    return Experiment.model_validate({"metadata": {"name": "demo"}, "spec": given, "status": {**began, **status}})


def facts(of, **known):
    return {label: "\n".join(lines) for label, lines in experiment_facts(View(of, NOW, **known))}


def trial(state=TrialState.RUNNING, **changes):
    return TrialRecord(Assignment("demo-a", 0, (("x", "0.123456789"),)), NOW - 90, state, **changes)


def test_the_state_is_said_with_its_reason_and_since_when():
    said = facts(experiment(), driven="process 7 on here")
    assert said["state"].startswith("Running since ")
    assert said["state"].endswith("60 s ago\nBecause: so it is")
    assert said["engine"] == "process 7 on here"
    assert said["time"].startswith("has run for 2 min; begun ")


def test_an_experiment_that_nobody_drives_says_how_it_goes_on():
    assert "`katib-py run`" in facts(experiment())["engine"]


def test_an_ended_experiment_waits_for_nothing_and_needs_no_engine():
    ended = experiment(conditions=[condition("Waiting"), condition("Succeeded", reason="ExperimentGoalReached")])
    said = facts(ended, live=[trial(waiting=Waiting("NoCPU", "none is free", NOW))])
    assert "waiting" not in said
    assert "engine" not in said
    assert "ExperimentGoalReached" in said["state"]


def test_a_suspended_experiment_is_said_to_be_so_and_its_time_stands_still():
    said = facts(experiment({"suspend": True}, suspendedSince=time_text(NOW - 100)))
    assert said["state"].startswith("Suspended since ")
    assert said["time"].startswith("has run for 20 s")


def test_what_trials_wait_for_is_said_once_for_all_of_them():
    waits = [trial(waiting=Waiting("NoCPU", "none is free", NOW)) for _ in range(5)]
    said = facts(experiment(conditions=[condition("Waiting"), condition("Running")]), live=waits)
    assert said["waiting"] == "Because: so it is\nNoCPU: none is free (demo-a, demo-a, demo-a and 2 more)"


def test_every_budget_is_said_with_what_is_spent_of_it():
    spec = {
        "parallelTrialCount": 2,
        "maxFailedTrialCount": 3,
        "maxDurationSeconds": 600,
        "stopWhen": {"trialsWithoutImprovement": 5},
    }
    running = experiment(spec, trials=6, trialsSucceeded=3, trialsFailed=1, trialMetricsUnavailable=1, trialsRunning=1)
    said = facts(running, live=[trial()], unimproved=4)
    assert said["trials"] == "6: 3 succeeded, 1 failed, 1 without metrics, 1 running"
    assert said["budget"].splitlines() == [
        "5 of 10 trials finished (maxTrialCount)",
        "1 of 2 at a time (parallelTrialCount)",
        "2 of 3 failures (maxFailedTrialCount)",
        "2 min of 10 min (maxDurationSeconds)",
        "4 of 5 trials since the best one (stopWhen.trialsWithoutImprovement)",
    ]


def test_repeats_of_the_best_are_part_of_what_there_may_be():
    said = facts(experiment({"confirm": {"top": 2, "repeats": 3}}, trials=16, trialsSucceeded=16))
    assert "16 of 16 trials finished (maxTrialCount and confirm)" in said["budget"].splitlines()


def test_the_settings_are_the_services_over_the_experiments():
    algorithm = {"algorithmName": "tpe", "algorithmSettings": [{"name": "a", "value": "1"}]}
    said = facts(experiment({"algorithm": algorithm}), settings=[("a", "2"), ("b", "3")])
    assert said["algorithm"] == "tpe with a=2, b=3"


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"parameterType": "int", "feasibleSpace": {"min": "1", "max": "9", "step": "2"}}, "x: 1 to 9 by 2 (int)"),
        ({"parameterType": "categorical", "feasibleSpace": {"list": ["a", "b"]}}, "x: one of a, b (categorical)"),
    ],
)
def test_a_parameter_is_said_with_its_values(space, words):
    assert facts(experiment({"parameters": [{"name": "x", **space}]}))["search"] == words


def test_the_best_trial_is_said_with_its_value_and_parameters():
    metric = {"name": "acc", "min": "0.1", "max": "0.8", "latest": "0.7"}
    optimal = {
        "bestTrialName": "demo-a",
        "parameterAssignments": [{"name": "x", "value": "0.123456789"}],
        "observation": {"metrics": [metric]},
    }
    assert facts(experiment(currentOptimalTrial=optimal))["best"] == "acc=0.8, trial demo-a\nx=0.123457"
    assert facts(experiment())["best"] == "none yet"


def test_an_experiment_that_has_not_begun_can_be_described():
    assert facts(Experiment.model_validate({"metadata": {"name": "demo"}}))["state"] == "Created, and not begun"


def test_a_finished_trial_is_said_with_its_whole_observation_and_its_times():
    done = trial(
        TrialState.SUCCEEDED,
        attempt=3,
        retries=1,
        disruptions=1,
        started=NOW - 80,
        completed=NOW - 50,
        reason="TrialSucceeded",
        message="fine",
        observation=(Metric("acc", "0.1", "0.8", "0.7"),),
    )
    said = {label: "\n".join(lines) for label, lines in trial_facts(OBJECTIVE, done, NOW)}
    assert said["state"].endswith("50 s ago")
    assert said["parameters"] == "x = 0.123456789"
    assert said["metrics"] == "acc = 0.8  (min 0.1, max 0.8, latest 0.7)"
    assert said["attempt"] == "3 (1 after a failure, 1 after a loss)"
    assert said["times"].endswith("ran for 30 s")


def test_a_running_trial_says_what_it_waits_for_and_that_it_is_being_stopped():
    stopped = trial(waiting=Waiting("NoCPU", "none", NOW), stop=StopIntent(StopKind.EARLY_STOPPED, "it is hopeless"))
    said = {label: "\n".join(lines) for label, lines in trial_facts(OBJECTIVE, stopped, NOW)}
    assert said["waiting"] == "NoCPU: none"
    assert said["stopping"] == "EarlyStopped: it is hopeless"
    assert said["metrics"] == "none yet"
