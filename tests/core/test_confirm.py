"""The best trials once more: when, how often, and who is the best then."""

import pytest
from scipy import stats

from katib_py.core.actions import Confirm as ConfirmAction
from katib_py.core.actions import CreateTrial, Finish, StopTrial
from katib_py.core.confirm import Confirmed, Repeat, interval, repeat_of, repeated, seed_env, student
from katib_py.core.defaults import default
from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import Experiment
from katib_py.core.load import load_experiment
from katib_py.core.objective import Metric
from katib_py.core.parse import Unknown
from katib_py.core.reconcile import Snapshot, Verdict, reconcile
from katib_py.core.status import ExperimentStatus, dump_status
from katib_py.core.tally import tally
from katib_py.core.trial import Assignment, TrialRecord, TrialState

S, F = TrialState.SUCCEEDED, TrialState.FAILED


def spec(**fields):
    objective = {"type": "minimize", "objectiveMetricName": "loss", **fields.pop("objective", {})}
    document = {
        "metadata": {"name": "demo"},
        "spec": {
            "objective": objective,
            "maxTrialCount": 4,
            "parallelTrialCount": 2,
            "confirm": {"top": 2, "repeats": 2},
            **fields,
        },
    }
    return default(Experiment.model_validate(document)).spec


def trial(name, loss=None, state=S, of=None, seed=0):
    text = str(loss) if loss is not None else "unavailable"
    assignment = Assignment(name, 0, (("x", name),))
    if of is not None:
        assignment = repeated(trial(of), seed, name, 0)
    return TrialRecord(assignment, 0.0, state, observation=(Metric("loss", text, text, text),))


DONE = [trial("a", 3), trial("b", 1), trial("c", 2), trial("d", 4)]


def snapshot(done, live=(), unused=(), found=None, **fields):
    found = found or spec()
    return Snapshot(found, tally(found.judgement(), done, found.confirm), tuple(live), tuple(unused), 9, 0.0, **fields)


def wanted(now):
    [action] = [action for action in reconcile(now) if isinstance(action, ConfirmAction)]
    return list(action.repeats)


ALL = [Repeat("b", 1), Repeat("b", 2), Repeat("c", 1), Repeat("c", 2)]


def test_the_best_are_repeated_once_the_search_is_over():
    assert wanted(snapshot(DONE)) == ALL
    assert not any(isinstance(action, ConfirmAction) for action in reconcile(snapshot(DONE[:3])))


def test_what_is_repeated_already_is_not_repeated_again():
    live = [trial("r1", state=TrialState.RUNNING, of="b", seed=1)]
    unused = [repeated(trial("c"), 2, "r4", 9)]
    assert wanted(snapshot([*DONE, trial("r2", 5, of="b", seed=2)], live, unused)) == [Repeat("c", 1)]


def test_repeats_run_as_many_at_a_time_as_trials_may():
    unused = [repeated(trial(name), seed, f"{name}{seed}", 9) for name, seed in ALL]
    assert reconcile(snapshot(DONE, unused=unused)) == [CreateTrial(unused[0]), CreateTrial(unused[1])]
    live = [trial("r", state=TrialState.RUNNING, of="b", seed=1)]
    assert reconcile(snapshot(DONE, live, unused[1:])) == [CreateTrial(unused[1])]


def test_the_experiment_ends_with_the_last_repeat():
    repeats = [trial(f"r{index}", 5, of=name, seed=seed) for index, (name, seed) in enumerate(ALL)]
    [end] = reconcile(snapshot([*DONE, *repeats]))
    assert isinstance(end, Finish)
    assert end.reason == "ExperimentMaxTrialsReached"
    failed = [trial("r9", state=F, of="c", seed=2)]
    assert isinstance(reconcile(snapshot([*DONE, *repeats[:3], *failed]))[0], Finish)


def test_a_reached_goal_ends_the_search_before_it_is_confirmed():
    found = spec(objective={"goal": 1.0})
    live = [trial("e", state=TrialState.RUNNING)]
    [stop] = reconcile(snapshot(DONE[:2], live, found=found))
    assert isinstance(stop, StopTrial)
    assert wanted(snapshot(DONE[:2], found=found)) == [Repeat("b", 1), Repeat("b", 2), Repeat("a", 1), Repeat("a", 2)]


def test_leftovers_of_the_search_are_not_tried_while_it_is_confirmed():
    assert wanted(snapshot(DONE, unused=[Assignment("left", 8, ())])) == ALL


def test_a_spent_duration_ends_the_experiment_at_once():
    found = spec(maxDurationSeconds=10)
    now = snapshot(DONE, found=found)
    [end] = reconcile(Snapshot(found, now.tally, (), (), 9, 11.0))
    assert isinstance(end, Finish)


def test_a_failed_experiment_is_not_confirmed():
    [end] = reconcile(snapshot([*DONE[:2], trial("x", state=F)], found=spec(maxFailedTrialCount=1)))
    assert (end.succeeded, end.reason) == (False, "ExperimentFailed")


def test_nothing_is_repeated_where_nothing_was_measured():
    done = [trial(name, state=TrialState.KILLED) for name in "abcd"]
    assert isinstance(reconcile(snapshot(done))[0], Finish)


def test_repeats_are_no_trials_of_the_search():
    repeats = [trial("r1", 0.5, of="b", seed=1), trial("r2", state=F, of="b", seed=2)]
    total = tally(spec().judgement(), [*DONE[:3], *repeats], spec().confirm)
    assert total.incumbent.trial.name == "b"
    assert (total.finished, total.searched, total.failed) == (5, 3, 0)
    assert not isinstance(reconcile(snapshot([*DONE[:3], *repeats]))[0], Finish | ConfirmAction)


def test_a_raised_budget_goes_on_with_the_search():
    repeats = [trial(f"r{index}", 5, of=name, seed=seed) for index, (name, seed) in enumerate(ALL)]
    raised = spec(maxTrialCount=5, resumePolicy="LongRunning")
    verdict = Verdict(True, "ExperimentMaxTrialsReached")
    assert reconcile(snapshot([*DONE, *repeats], found=raised, verdict=verdict))
    assert wanted(snapshot([*DONE, *repeats, trial("e", 0.5)], found=raised)) == [Repeat("e", 1), Repeat("e", 2)]


def status(*repeats):
    total = tally(spec().judgement(), [*DONE, *repeats], spec().confirm)
    return dump_status(ExperimentStatus(), total, {}, None)


def test_the_best_by_its_mean_is_the_best():
    values = {Repeat("b", 1): 5, Repeat("b", 2): 3, Repeat("c", 1): 2, Repeat("c", 2): 2.5}
    repeats = [trial(f"r{index}", loss, of=of, seed=seed) for index, ((of, seed), loss) in enumerate(values.items())]
    found = status(*repeats)
    assert [(entry["trialName"], entry["mean"], entry["repeats"]) for entry in found["confirmed"]] == [
        ("c", 2.25, 2),
        ("b", 4.0, 2),
    ]
    assert found["confirmed"][0]["low"] < 2.25 < found["confirmed"][0]["high"]
    assert found["currentOptimalTrial"]["bestTrialName"] == "c"
    assert status(*repeats[:3])["currentOptimalTrial"]["bestTrialName"] == "b"


def test_one_whose_repeats_all_failed_is_not_the_best():
    repeats = [trial(f"r{seed}", state=F, of="b", seed=seed) for seed in (1, 2)]
    repeats += [trial(f"q{seed}", 9, of="c", seed=seed) for seed in (1, 2)]
    found = status(*repeats)
    assert found["currentOptimalTrial"]["bestTrialName"] == "c"
    assert found["confirmed"][-1] == {"trialName": "b", "repeats": 0}


def test_without_confirmation_nothing_is_said_of_it():
    assert "confirmed" not in status()


def test_what_a_repeat_repeats_is_on_its_labels():
    assignment = repeated(trial("b"), 3, "demo-x", 7)
    assert repeat_of(assignment) == Repeat("b", 3)
    assert assignment.parameters == trial("b").assignment.parameters
    assert repeat_of(Assignment("demo-y", 1, (), (("katib.kubeflow.org/confirms", "b"),))) is None


def test_only_a_repeat_is_told_a_seed():
    assert seed_env(repeated(trial("b"), 3, "demo-x", 7)) == {"KATIB_SEED": "3"}
    assert seed_env(trial("b").assignment) == {}


@pytest.mark.parametrize("freedom", [1, 2, 5, 10, 11, 15, 30, 200])
def test_quantiles_are_students(freedom):
    assert student(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-3)


def test_an_interval_needs_two_values():
    assert interval([1.0]) is None
    assert interval([1.0, float("inf")]) is None
    assert interval([1.0, 3.0]) == pytest.approx((2 - 12.706, 2 + 12.706), rel=1e-3)
    assert Confirmed(trial("a"), ()).mean is None


@pytest.mark.parametrize(
    ("confirm", "path", "words"),
    [
        ({"top": 0}, "spec.confirm.top", "is 0; must be 1 to 100"),
        ({"repeats": 0}, "spec.confirm.repeats", "is 0; must be 1 to 100"),
        ({"top": 101}, "spec.confirm.top", "is 101; must be 1 to 100"),
        ({"top": 2, "repeat": 3}, "spec.confirm.repeat", "did you mean repeats?"),
    ],
)
def test_a_confirmation_of_nothing_is_refused(document, confirm, path, words):
    with pytest.raises(InvalidInput) as caught:
        load_experiment(document({"spec.confirm": confirm}), unknown=Unknown.REFUSED)
    [problem] = caught.value.problems
    assert problem.path == path
    assert words in problem.message


def test_several_objectives_are_not_confirmed(document):
    both = [{"type": "maximize", "objectiveMetricName": "acc"}, {"type": "minimize", "objectiveMetricName": "loss"}]
    with pytest.raises(InvalidInput, match="stands beside objectives"):
        load_experiment(document({"spec.confirm": {}, "spec.objectives": both}))


def test_a_repeat_goes_on_from_where_its_trial_went_on():
    key = "pbt.suggestion.katib.kubeflow.org"
    labels = ((f"{key}/generation", "2"), (f"{key}/parent", "demo-a"))
    original = TrialRecord(Assignment("b", 0, (("x", "1"),), labels), 0.0, S)
    again = repeated(original, 1, "demo-x", 7)
    assert again.parent == "demo-a"
    assert f"{key}/generation" not in dict(again.labels)
