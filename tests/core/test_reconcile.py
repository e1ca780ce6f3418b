"""What the controller decides, as a table and as promises over random histories."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.actions import Ask, CreateTrial, Finish, Restart, SetCondition, StopTrial
from katib_py.core.experiment import ExperimentSpec
from katib_py.core.objective import Metric
from katib_py.core.reconcile import Snapshot, Verdict, reconcile, wanted
from katib_py.core.tally import Tally, tally
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState


def spec(**fields):
    objective = {"type": "maximize", "objectiveMetricName": "acc", **fields.pop("objective", {})}
    return ExperimentSpec.model_validate({"parallelTrialCount": 2, "objective": objective, **fields})


def trial(index, state=TrialState.RUNNING, value="0.5", **fields):
    observation = (Metric("acc", value, value, value),) if state.finished else ()
    return TrialRecord(Assignment(f"t{index}", index, (("x", "1"),)), 0.0, state, observation=observation, **fields)


def finished(*states, value="0.5"):
    return [trial(100 + index, state, value) for index, state in enumerate(states)]


def snapshot(spec, done=(), live=(), unused=(), **fields):
    assigned = len(done) + len(live) + len(unused)
    return Snapshot(spec, tally(spec.judgement(), done), tuple(live), tuple(unused), assigned, 0.0, **fields)


S, F, E, U, K = (
    TrialState.SUCCEEDED,
    TrialState.FAILED,
    TrialState.EARLY_STOPPED,
    TrialState.METRICS_UNAVAILABLE,
    TrialState.KILLED,
)


@pytest.mark.parametrize(
    ("parallel", "maximum", "done", "live", "expected"),
    [
        (2, 10, [], 0, 2),
        (2, 10, [S], 1, 1),
        (3, 5, [S, S, S], 1, 1),
        (3, 5, [S, S, S], 2, 0),
        (2, 3, [S, U], 0, 1),  # Katib leaves the unavailable one out and overshoots
        (2, 10, [S, E, E], 0, 2),  # Katib stalls on early-stopped trials without an observation
        (2, None, [S] * 50, 1, 1),
    ],
)
def test_as_many_trials_are_wanted_as_the_budget_and_the_parallelism_leave(parallel, maximum, done, live, expected):
    what = spec(parallelTrialCount=parallel, **({"maxTrialCount": maximum} if maximum else {}))
    now = snapshot(what, finished(*done), [trial(index) for index in range(live)])
    assert wanted(now) == expected


def test_a_new_experiment_asks_for_its_first_trials():
    assert reconcile(snapshot(spec(maxTrialCount=10)))[0] == Ask(2)


@pytest.mark.parametrize(
    ("maximum", "live", "unused", "total"),
    [
        (None, 0, 0, 24),  # eight to start, sixteen to lie ready
        (None, 8, 16, None),
        (None, 8, 8, None),  # half of the stock is enough
        (None, 8, 7, 24),
        (10, 0, 0, 10),
        (10, 8, 2, None),
        (9, 8, 0, None),  # the last one is not worth a call of its own before its place is free
    ],
)
def test_where_results_teach_nothing_assignments_lie_ready_and_never_too_many(maximum, live, unused, total):
    what = spec(parallelTrialCount=8, **({"maxTrialCount": maximum} if maximum else {}))
    ready = [Assignment(f"a{index}", 50 + index, ()) for index in range(unused)]
    now = snapshot(what, (), [trial(index) for index in range(live)], ready, ask_ahead=True)
    asked = [action.total for action in reconcile(now) if isinstance(action, Ask)]
    assert asked == ([total] if total else [])


def test_recorded_assignments_are_used_before_more_are_asked_for():
    unused = [Assignment("a", 0, ()), Assignment("b", 1, ())]
    actions = reconcile(snapshot(spec(), unused=unused))
    assert [action for action in actions if not isinstance(action, SetCondition)] == [CreateTrial(a) for a in unused]


@pytest.mark.parametrize(
    ("fields", "done", "reason"),
    [
        ({"objective": {"goal": 0.4}}, [S], "ExperimentGoalReached"),
        ({"objective": {"goal": 0.4}}, [E], "ExperimentGoalReached"),
        ({"maxTrialCount": 2}, [S, U], "ExperimentMaxTrialsReached"),
        ({"maxFailedTrialCount": 2}, [F, U], "ExperimentFailed"),
        ({"maxFailedTrialCount": 0}, [F], "ExperimentFailed"),
        ({"stopWhen": {"trialsWithoutImprovement": 2}}, [S, S, F], "ExperimentNoImprovement"),
        ({"maxDurationSeconds": 5}, [S], "ExperimentMaxDurationReached"),
    ],
)
def test_an_experiment_ends_for_its_reason(fields, done, reason):
    now = replace(snapshot(spec(**fields), finished(*done)), active_seconds=10.0)
    assert reconcile(now)[0].reason == reason


@pytest.mark.parametrize("done", [[F], [K], [U]])
def test_a_trial_that_brought_no_result_never_reaches_the_goal(done):
    now = snapshot(spec(objective={"goal": 0.4}), finished(*done))
    assert not any(isinstance(action, Finish) for action in reconcile(now))


def test_no_failure_is_allowed_and_none_happened():
    assert not any(isinstance(a, Finish) for a in reconcile(snapshot(spec(maxFailedTrialCount=0), finished(S))))


def test_a_reached_goal_outranks_failure_and_failure_a_spent_budget():
    what = spec(objective={"goal": 0.4}, maxFailedTrialCount=1, maxTrialCount=2)
    assert reconcile(snapshot(what, finished(F, S)))[0].reason == "ExperimentGoalReached"
    assert reconcile(snapshot(what, finished(F, S, value="0.1")))[0].reason == "ExperimentFailed"


def test_the_end_of_the_search_waits_for_the_last_trial():
    ended = snapshot(spec(), finished(S), [trial(1)], search_ended=True)
    assert not any(isinstance(action, Finish | Ask) for action in reconcile(ended))
    assert reconcile(replace(ended, live=()))[0].reason == "ExperimentSuggestionEndReached"


def test_a_reached_goal_kills_what_still_runs():
    actions = reconcile(snapshot(spec(objective={"goal": 0.4}), finished(S), [trial(1)]))
    assert [action.intent.kind for action in actions if isinstance(action, StopTrial)] == [StopKind.KILLED]


def test_a_lowered_budget_lets_running_trials_finish():
    actions = reconcile(snapshot(spec(maxTrialCount=1, parallelTrialCount=1), finished(S), [trial(1), trial(2)]))
    assert not any(isinstance(action, StopTrial) for action in actions)


def test_suspending_ends_the_runs_and_asks_for_nothing():
    actions = reconcile(snapshot(spec(suspend=True), finished(S), [trial(1), trial(2, TrialState.CREATED)]))
    assert [(action.name, action.intent.kind) for action in actions] == [("t1", StopKind.SUSPENDED)]


def test_a_run_is_told_to_stop_only_once():
    told = trial(1, stop=StopIntent(StopKind.SUSPENDED, "because"))
    assert reconcile(snapshot(spec(suspend=True), live=[told])) == []


@pytest.mark.parametrize(
    ("policy", "reason", "expected"),
    [
        ("LongRunning", "ExperimentMaxTrialsReached", True),
        ("FromVolume", "ExperimentMaxTrialsReached", True),
        ("Never", "ExperimentMaxTrialsReached", False),
        ("LongRunning", "ExperimentGoalReached", False),
        ("LongRunning", "ExperimentFailed", False),
    ],
)
def test_a_raised_budget_restarts_only_what_ended_on_its_budget(policy, reason, expected):
    now = snapshot(spec(maxTrialCount=5, resumePolicy=policy), finished(S), verdict=Verdict(True, reason))
    assert (reconcile(now) == [Restart()]) is expected


def test_a_finished_experiment_without_maxTrialCount_stays_finished():
    now = snapshot(spec(resumePolicy="LongRunning"), finished(S), verdict=Verdict(True, "ExperimentGoalReached"))
    assert reconcile(now) == []


@given(st.randoms(use_true_random=False), st.integers(1, 6), st.integers(1, 25), st.integers(0, 3))
def test_whatever_the_trials_do_the_budget_and_the_parallelism_hold(rng: random.Random, parallel, maximum, supply):
    what = spec(parallelTrialCount=parallel, maxTrialCount=maximum)
    done, live, unused, assigned, ended = [], [], [], 0, False
    for _ in range(400):
        now = Snapshot(what, tally(what.judgement(), done), tuple(live), tuple(unused), assigned, 0.0, ended)
        actions = reconcile(now)
        if any(isinstance(action, Finish) for action in actions):
            break
        for action in actions:
            if isinstance(action, CreateTrial):
                live.append(trial(action.assignment.index))
                unused.remove(action.assignment)
            elif isinstance(action, Ask) and rng.random() < 0.5:
                given = max(1, min(supply, action.total - assigned)) if supply else action.total - assigned
                unused += [Assignment(f"t{assigned + k}", assigned + k, ()) for k in range(given)]
                assigned += given
        assert len(live) <= parallel
        assert len(live) + len(done) <= maximum
        if live and rng.random() < 0.7:
            done.append(trial(live.pop(rng.randrange(len(live))).assignment.index, rng.choice([S, F, E, U, K])))
    assert len(done) == maximum


def test_of_equal_trials_the_earlier_stays_the_incumbent():
    what = spec()
    total = Tally(what.judgement())
    for item in finished(S, S):
        total.add(item)
    assert total.incumbent.trial.name == "t100"
