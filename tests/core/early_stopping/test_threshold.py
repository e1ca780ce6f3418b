import math

from support.courses import ACCURACY, LOSS, NAN

from katib_py.core.early_stopping import ThresholdStop


def test_a_value_out_of_bounds_stops_and_the_bounds_themselves_do_not():
    stopper = ThresholdStop(lower=0.5, upper=10)
    assert [bool(stopper.decide([value], [], LOSS)) for value in (0.4, 0.5, 10, 10.1)] == [True, False, False, True]
    assert [bool(stopper.decide([value], [], ACCURACY)) for value in (0.4, 0.5, 10.1)] == [True, False, True]


def test_the_newest_value_counts_not_the_best():
    assert ThresholdStop(upper=10).decide([1, 11], [], LOSS) is not None
    assert ThresholdStop(upper=10).decide([11, 1], [], LOSS) is None


def test_the_reason_names_the_step_the_value_and_the_bound():
    stop = ThresholdStop(upper=10).decide([1, 11.5], [], LOSS)
    assert stop == (2, 11.5, 10, "loss: 11.5 at step 2 is above the upper bound, 10")


def test_nothing_is_stopped_before_the_start_step():
    assert ThresholdStop(lower=0.5, start_step=3).decide([0.1, 0.1], [], ACCURACY) is None
    assert ThresholdStop(lower=0.5, start_step=3).decide([0.1, 0.1, 0.1], [], ACCURACY) is not None


def test_nan_stops_only_where_it_is_asked_for():
    assert ThresholdStop(upper=10).decide([NAN], [], LOSS) is None
    stop = ThresholdStop(stop_on_nan=True).decide([NAN], [], LOSS)
    assert stop is not None
    assert stop.reason == "loss: nan at step 1 is not a number"
    assert ThresholdStop(stop_on_nan=True).decide([math.inf], [], LOSS) is None


def test_another_metric_may_be_watched():
    stopper = ThresholdStop(upper=8, metric="memory")
    assert stopper.standing(LOSS).metric == "memory"
    assert ThresholdStop(upper=8).standing(LOSS).metric == "loss"
    assert "memory: 9 at step 1" in (stopper.standing(LOSS).measured("a", "9") or "")


def test_one_bound_is_a_fixed_rule_and_two_are_none():
    assert ThresholdStop(upper=8, metric="memory", start_step=2).rule([], LOSS) == ("memory", "8", "greater", 2)
    assert ThresholdStop(lower=0.5).rule([], ACCURACY) == ("accuracy", "0.5", "less", 1)
    assert ThresholdStop(lower=0.5, upper=8).rule([], LOSS) is None
    assert ThresholdStop(stop_on_nan=True).rule([], LOSS) is None
