"""What becomes of a trial when its run ends."""

import pytest

from katib_py.core.objective import Metric, ObjectiveSpec
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState
from katib_py.core.verdict import RunEnd, conclude, vanished

OBJECTIVE = ObjectiveSpec.model_validate({"type": "maximize", "objectiveMetricName": "acc"})
GOOD = (Metric("acc", "0.1", "0.9", "0.9"),)
NONE = (Metric("acc", "unavailable", "unavailable", "unavailable"),)
RUNNING = TrialRecord(Assignment("t", 0, ()), 0.0, TrialState.RUNNING, started=1.0)


def told(kind):
    return TrialRecord(Assignment("t", 0, ()), 0.0, TrialState.RUNNING, started=1.0, stop=StopIntent(kind, "why"))


def end(trial, run, observation=GOOD):
    return conclude(trial, run, observation, OBJECTIVE, 5.0)


def test_success_with_the_objective_is_success():
    trial = end(RUNNING, RunEnd(True, "R", "M"))
    assert (trial.state, trial.reason) == (TrialState.SUCCEEDED, "TrialSucceeded. Job reason: R")
    assert trial.message == "Trial has succeeded. Job message: M"


def test_success_without_the_objective_names_the_metrics_that_were_there():
    trial = end(RUNNING, RunEnd(True, seen={"accuracy", "loss"}), NONE)
    assert trial.state is TrialState.METRICS_UNAVAILABLE
    assert "'accuracy', 'loss'" in trial.message


def test_an_objective_that_is_nan_throughout_is_unavailable_and_says_so():
    trial = end(RUNNING, RunEnd(True, seen={"acc"}), (Metric("acc", "unavailable", "unavailable", "nan"),))
    assert trial.state is TrialState.METRICS_UNAVAILABLE
    assert "nan" in trial.message


def test_failure_keeps_what_was_measured():
    trial = end(RUNNING, RunEnd(False, "Backoff", "exit status 3"))
    assert (trial.state, trial.observation) == (TrialState.FAILED, GOOD)


def test_a_run_that_satisfies_neither_condition_has_failed_and_says_why():
    assert "neither" in end(RUNNING, RunEnd(None)).message


def test_a_retry_is_a_new_attempt_of_the_same_trial():
    trial = end(RUNNING, RunEnd(False, retry=True))
    assert (trial.state, trial.attempt, trial.retries, trial.started) == (TrialState.CREATED, 2, 1, None)


@pytest.mark.parametrize(
    ("kind", "state"), [(StopKind.EARLY_STOPPED, TrialState.EARLY_STOPPED), (StopKind.KILLED, TrialState.KILLED)]
)
def test_a_stopped_run_ends_as_it_was_told_with_its_observation(kind, state):
    trial = end(told(kind), RunEnd(False, stopped=True))
    assert (trial.state, trial.observation) == (state, GOOD)
    assert trial.message.endswith(": why")


def test_a_suspended_run_gets_a_new_attempt_and_is_no_failure():
    trial = end(told(StopKind.SUSPENDED), RunEnd(False, stopped=True))
    assert (trial.state, trial.attempt, trial.retries, trial.stop) == (TrialState.CREATED, 2, 0, None)


@pytest.mark.parametrize("kind", StopKind)
def test_a_run_that_ended_by_itself_meanwhile_keeps_its_own_verdict(kind):
    assert end(told(kind), RunEnd(True)).state is TrialState.SUCCEEDED


@pytest.mark.parametrize("succeeded", [True, False, None])
def test_a_run_that_was_told_so_itself_is_early_stopped_whatever_its_own_verdict(succeeded):
    """Katib's collectors end the training, whose command then succeeds."""
    stop = StopIntent(StopKind.EARLY_STOPPED, "its rules were met", told=True)
    trial = end(TrialRecord(RUNNING.assignment, 0.0, TrialState.RUNNING, started=1.0, stop=stop), RunEnd(succeeded))
    assert (trial.state, trial.observation) == (TrialState.EARLY_STOPPED, GOOD)


def test_a_vanished_run_gets_one_more_attempt_and_then_fails():
    again = vanished(RUNNING, (), False, "", 5.0)
    assert (again.state, again.attempt) == (TrialState.CREATED, 2)
    assert vanished(again, (), False, "", 6.0).state is TrialState.FAILED


def test_a_disruption_is_never_a_failure():
    trial = RUNNING
    for _ in range(5):
        trial = vanished(trial, (), True, "", 5.0)
    assert (trial.state, trial.attempt, trial.disruptions) == (TrialState.CREATED, 6, 0)
