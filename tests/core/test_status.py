"""The status that Katib's clients read."""

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.objective import Metric, ObjectiveSpec
from katib_py.core.outcome import Judgement
from katib_py.core.status import ExperimentStatus, dump_status, parse_time, read_status, time_text, trial_conditions
from katib_py.core.tally import NAMES_KEPT, Tally
from katib_py.core.trial import Assignment, TrialRecord, TrialState, Waiting

OBJECTIVE = ObjectiveSpec.model_validate({"type": "maximize", "objectiveMetricName": "acc"})


def finished(index, value="0.5"):
    metrics = (Metric("acc", value, value, value),)
    assignment = Assignment(f"t{index}", index, (("x", "1"),))
    return TrialRecord(assignment, 0.0, TrialState.SUCCEEDED, started=1.0, completed=2.0, observation=metrics)


def types(conditions):
    return [(entry["type"], entry["status"]) for entry in conditions]


def test_an_experiment_that_finished_on_its_budget_shows_katibs_conditions():
    status = ExperimentStatus()
    status.begin(0.0)
    status.set("Running", "True", ("ExperimentRunning", "Experiment is running"), 1.0)
    status.finish(True, "ExperimentMaxTrialsReached", "done", 2.0)
    dumped = dump_status(status, Tally(Judgement(OBJECTIVE)), {}, None)
    assert types(dumped["conditions"]) == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]


def test_a_restarted_experiment_shows_katibs_conditions():
    status = ExperimentStatus()
    status.begin(0.0)
    status.finish(True, "ExperimentMaxTrialsReached", "done", 2.0)
    status.restart(3.0)
    status.set("Running", "True", ("ExperimentRunning", "Experiment is running"), 3.0)
    assert [entry.type for entry in status.conditions] == ["Created", "Restarting", "Running"]
    assert status.verdict is None


def test_a_waiting_condition_stands_before_the_last():
    status = ExperimentStatus()
    status.begin(0.0)
    status.set("Running", "True", ("ExperimentRunning", ""), 1.0)
    dumped = dump_status(status, Tally(Judgement(OBJECTIVE)), {}, Waiting("Why", "what", 1.0))
    assert [entry["type"] for entry in dumped["conditions"]] == ["Created", "Waiting", "Running"]


def test_the_status_survives_writing_and_reading():
    status = ExperimentStatus()
    status.begin(100.0)
    status.suspend(True, 130.0)
    status.set("Running", "True", ("ExperimentRunning", "m"), 101.0)
    again = read_status(dump_status(status, Tally(Judgement(OBJECTIVE)), {}, Waiting("Why", "what", 1.0)))
    assert again == status


def test_suspended_time_and_the_time_after_an_end_do_not_count():
    status = ExperimentStatus()
    status.begin(100.0)
    status.suspend(True, 110.0)
    assert status.active_seconds(150.0) == 10.0
    status.suspend(False, 150.0)
    status.finish(True, "r", "m", 160.0)
    status.restart(200.0)
    assert status.active_seconds(205.0) == 25.0


def test_name_lists_keep_the_newest_and_counts_stay_exact():
    tally = Tally(Judgement(OBJECTIVE))
    for index in range(NAMES_KEPT + 10):
        tally.add(finished(index))
    dumped = dump_status(ExperimentStatus(), tally, {}, None)
    assert dumped["trialsSucceeded"] == NAMES_KEPT + 10
    assert dumped["succeededTrialList"][-1] == f"t{NAMES_KEPT + 9}"
    assert len(dumped["succeededTrialList"]) == NAMES_KEPT


def test_empty_lists_and_zero_counters_disappear_and_completion_is_null():
    dumped = dump_status(ExperimentStatus(), Tally(Judgement(OBJECTIVE)), {}, None)
    assert dumped == {"completionTime": None, "currentOptimalTrial": {"observation": {}}}


def test_the_optimal_trial_carries_parameters_and_observation():
    tally = Tally(Judgement(OBJECTIVE))
    tally.add(finished(1, "0.9"))
    optimal = dump_status(ExperimentStatus(), tally, {}, None)["currentOptimalTrial"]
    assert optimal["bestTrialName"] == "t1"
    assert optimal["parameterAssignments"] == [{"name": "x", "value": "1"}]
    assert optimal["observation"]["metrics"] == [{"name": "acc", "min": "0.9", "max": "0.9", "latest": "0.9"}]


def test_a_succeeded_trial_shows_katibs_conditions():
    conditions = trial_conditions(finished(1))
    assert types(conditions) == [("Created", "True"), ("Running", "False"), ("Succeeded", "True")]


@given(st.integers(0, 4_000_000_000))
def test_times_survive_as_rfc3339_with_seconds_precision(seconds):
    assert parse_time(time_text(seconds)) == seconds
