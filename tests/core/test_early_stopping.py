from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.early_stopping import Course, MedianStop, parse_stopper
from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import AlgorithmSpec, Setting
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.trial import TrialState

LOSS = ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="loss")
ACCURACY = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy")
NAN = math.nan


def succeeded(*values: float) -> Course:
    return Course(values, TrialState.SUCCEEDED)


def failed(*values: float) -> Course:
    return Course(values, TrialState.FAILED)


def running(*values: float) -> Course:
    return Course(values, TrialState.RUNNING)


def settings(**values: str) -> AlgorithmSpec:
    return AlgorithmSpec(
        algorithm_name="medianstop",
        algorithm_settings=tuple(Setting(name=name, value=value) for name, value in values.items()),
    )


def test_the_threshold_is_the_median_of_the_others_averages_not_their_mean():
    stop = MedianStop(3, 1).decide([3.0], [succeeded(1), succeeded(2), succeeded(9)], LOSS)
    assert stop is not None
    assert (stop.step, stop.value, stop.threshold) == (1, 3.0, 2.0)


def test_the_reason_names_the_step_the_value_and_what_it_was_compared_with():
    stop = MedianStop(3, 1).decide([3.0], [succeeded(1), succeeded(2), succeeded(9)], LOSS)
    assert stop is not None
    assert stop.reason == ("loss: the best up to step 1, 3, is worse than the median of 3 other trials' averages, 2")


def test_a_trial_that_equals_the_median_goes_on():
    assert MedianStop(1, 1).decide([2.0], [succeeded(2)], LOSS) is None


def test_the_best_so_far_counts_not_the_last_value():
    assert MedianStop(1, 1).decide([0.9, 0.1], [succeeded(0.8, 0.8)], ACCURACY) is None


def test_nothing_is_stopped_before_the_start_step():
    others = [succeeded(1, 1, 1, 1)] * 3
    assert MedianStop().decide([5, 5, 5], others, LOSS) is None
    assert MedianStop().decide([5, 5, 5, 5], others, LOSS) is not None


def test_nothing_is_stopped_until_enough_trials_have_succeeded():
    others = [succeeded(1), running(1), running(1)]
    assert MedianStop(2, 1).decide([5], others, LOSS) is None
    assert MedianStop(1, 1).decide([5], others, LOSS) is not None


def test_failed_trials_and_trials_that_have_not_come_so_far_do_not_count():
    others = [succeeded(9, 9), failed(1, 1), running(1)]
    assert MedianStop(1, 1).decide([5, 5], others, LOSS) is None


def test_averages_are_taken_up_to_the_same_step():
    assert MedianStop(1, 2).decide([5, 5], [succeeded(6, 6, 0, 0)], LOSS) is None


def test_a_nan_is_left_out_of_averages_and_bests():
    stop = MedianStop(1, 2).decide([NAN, 5], [succeeded(4, NAN)], LOSS)
    assert stop is not None
    assert (stop.value, stop.threshold) == (5, 4)


def test_a_trial_of_nothing_but_nan_is_worse_than_any_number():
    assert MedianStop(1, 1).decide([NAN], [succeeded(1e300)], LOSS) is not None
    assert MedianStop(1, 1).decide([NAN], [succeeded(NAN)], LOSS) is None


def test_a_failed_trial_leaves_the_live_standing():
    standing = MedianStop(1, 1).standing(LOSS)
    for trial, value, state in (("a", "1", TrialState.FAILED), ("b", "9", TrialState.SUCCEEDED)):
        standing.measured(trial, value)
        standing.finished(trial, state)
    assert standing.measured("c", "5") is None


def test_a_new_attempt_voids_what_the_old_one_measured():
    standing = MedianStop(1, 1).standing(LOSS)
    standing.measured("a", "9")
    standing.begin("a")
    standing.measured("a", "1")
    standing.finished("a", TrialState.SUCCEEDED)
    assert "median of 1 other trials' averages, 1" in (standing.measured("b", "5") or "")


def test_text_that_is_no_number_is_no_step():
    standing = MedianStop(1, 1).standing(LOSS)
    assert standing.measured("a", "unavailable") is None
    standing.finished("a", TrialState.SUCCEEDED)
    assert standing.measured("b", "5") is None


values = st.floats(allow_nan=True, allow_infinity=True, width=32)
courses = st.lists(
    st.tuples(
        st.lists(values, max_size=6), st.sampled_from([TrialState.SUCCEEDED, TrialState.FAILED, TrialState.RUNNING])
    ),
    max_size=7,
)


@given(courses=courses, own=st.lists(values, min_size=1, max_size=6), objective=st.sampled_from([LOSS, ACCURACY]))
def test_the_live_standing_decides_as_the_whole_series_do(courses, own, objective):
    stopper = MedianStop(2, 2)
    standing = stopper.standing(objective)
    for number, (series, state) in enumerate(courses):
        for value in series:
            standing.measured(str(number), repr(value))
        if state is not TrialState.RUNNING:
            standing.finished(str(number), state)
    others = [Course(series, state) for series, state in courses]
    for step in range(1, len(own) + 1):
        stop = stopper.decide(own[:step], others, objective)
        assert standing.measured("own", repr(own[step - 1])) == (stop.reason if stop else None)


def test_a_fixed_rule_carries_the_median_for_katibs_collectors():
    rule = MedianStop(3, 2).rule([[1, 1, 99], [2, 2], [9]], ACCURACY)
    assert rule == ("accuracy", "2.0", "less", 2)
    assert MedianStop(3, 2).rule([[1], [2], []], LOSS) is None


def test_settings_default_as_katibs():
    assert parse_stopper(settings()) == MedianStop(min_trials_required=3, start_step=4)
    assert parse_stopper(settings(start_step="2")) == MedianStop(3, 2)


def test_every_wrong_setting_is_named_at_once():
    with pytest.raises(InvalidInput) as caught:
        parse_stopper(settings(min_trials_required="0", start_step="four", patience="1"))
    assert [str(problem) for problem in caught.value.problems] == [
        "spec.earlyStopping.algorithmSettings[0].value: is '0'; min_trials_required must be an integer of 1 or more",
        "spec.earlyStopping.algorithmSettings[1].value: is 'four'; start_step must be an integer of 1 or more",
        "spec.earlyStopping.algorithmSettings[2].name: is 'patience'; must be one of min_trials_required, start_step",
    ]


def test_an_unknown_algorithm_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match="is 'hyperstop'; must be one of medianstop"):
        parse_stopper(AlgorithmSpec(algorithm_name="hyperstop"))
