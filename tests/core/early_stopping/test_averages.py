from __future__ import annotations

from support.courses import ACCURACY, LOSS, NAN, failed, running, succeeded

from katib_py.core.early_stopping import MedianStop, PercentileStop
from katib_py.core.trial import TrialState


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


def test_a_fixed_rule_carries_the_median_for_katibs_collectors():
    rule = MedianStop(3, 2).rule([[1, 1, 99], [2, 2], [9]], ACCURACY)
    assert rule == ("accuracy", "2.0", "less", 2)
    assert MedianStop(3, 2).rule([[1], [2], []], LOSS) is None


def test_a_percentile_is_counted_from_the_best():
    others = [succeeded(value) for value in (1, 2, 3, 4, 5)]
    quarter = PercentileStop(3, 1, percentile=25.0)
    assert quarter.decide([2.0], others, LOSS) is None
    stop = quarter.decide([2.5], others, LOSS)
    assert stop is not None
    assert stop.reason == (
        "loss: the best up to step 1, 2.5, is worse than percentile 25, from the best, of 5 other trials' averages, 2"
    )
    assert quarter.decide([4.0], others, ACCURACY) is None
    assert quarter.decide([3.5], others, ACCURACY) is not None


def test_between_two_averages_a_percentile_is_interpolated():
    stop = PercentileStop(2, 1, percentile=12.5).decide([9.0], [succeeded(1), succeeded(2)], LOSS)
    assert stop is not None
    assert stop.threshold == 1.125


def test_the_fiftieth_percentile_is_the_median():
    others = [succeeded(1), succeeded(2), succeeded(9)]
    median, fiftieth = MedianStop(3, 1), PercentileStop(3, 1, percentile=50)
    for value in (1.9, 2.0, 2.1):
        assert (median.decide([value], others, LOSS) is None) is (fiftieth.decide([value], others, LOSS) is None)


def test_a_percentile_is_a_fixed_rule_too():
    assert PercentileStop(3, 1, percentile=25).rule([[1], [2], [3], [4], [5]], LOSS) == ("loss", "2.0", "greater", 1)


def test_a_trial_beyond_the_others_last_step_is_compared_with_none():
    assert MedianStop(1, 1).decide([9, 9, 9], [succeeded(1, 1)], LOSS) is None
