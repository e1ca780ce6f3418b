import pytest
from support.courses import ACCURACY, LOSS, NAN, failed, running, succeeded

from katib_py.core.early_stopping import AshaStop


def rungs(stopper, last):
    return [step for step in range(1, last + 1) if stopper.place(step) is not None]


def test_rungs_are_the_powers_of_eta_from_the_least_resource_on():
    assert rungs(AshaStop(), 250) == [1, 3, 9, 27, 81, 243]
    assert rungs(AshaStop(eta=4, min_resource=2), 130) == [2, 8, 32, 128]
    assert [AshaStop().place(step) for step in (1, 3, 9)] == [0, 1, 2]


def test_the_last_step_of_a_trial_is_no_rung():
    assert rungs(AshaStop(max_resource=27), 100) == [1, 3, 9]


@pytest.mark.parametrize(("eta", "steps"), [(2.5, [1, 3, 7, 16, 40]), (1.1, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])])
def test_eta_need_not_be_whole(eta, steps):
    assert rungs(AshaStop(eta=eta), steps[-1]) == steps


def test_the_best_third_of_those_that_came_to_the_rung_goes_on():
    others = [running(value) for value in (1, 2, 3, 4, 5)]
    assert AshaStop().decide([1.5], others, LOSS) is None
    assert AshaStop().decide([2.5], others, LOSS) is not None
    assert AshaStop().decide([4.5], others, ACCURACY) is None
    assert AshaStop().decide([3.5], others, ACCURACY) is not None


def test_the_reason_names_the_rung_the_value_and_what_it_was_compared_with():
    stop = AshaStop().decide([9, 8, 7.0], [running(1, 1, value) for value in (1, 2, 3, 4, 5)], LOSS)
    assert stop is not None
    assert (stop.step, stop.value, stop.threshold) == (3, 7.0, 1)
    assert stop.reason == (
        "loss: at the rung of step 3, 5 of 5 other trials are better than its best, 7; "
        "of 6 that have come here the best 2 go on, from 1"
    )


def test_of_fewer_than_eta_trials_the_best_goes_on():
    assert AshaStop().decide([5], [], LOSS) is None
    assert AshaStop().decide([5], [running(6)], LOSS) is None
    assert AshaStop().decide([5], [running(4)], LOSS) is not None


def test_equals_go_on_together():
    assert AshaStop().decide([5], [running(5), running(5)], LOSS) is None


def test_nothing_is_stopped_between_rungs():
    assert AshaStop().decide([5, 5], [running(1, 1)] * 9, LOSS) is None


def test_failed_trials_and_trials_that_have_not_come_to_the_rung_do_not_count():
    assert AshaStop().decide([5, 5, 5], [failed(1, 1, 1), running(1, 1), succeeded(6, 6, 6)], LOSS) is None


def test_the_best_up_to_the_rung_counts():
    assert AshaStop().decide([1, 9, 9], [running(2, 2, 2)], LOSS) is None
    assert AshaStop().decide([NAN], [running(2)], LOSS) is not None


def test_no_fixed_rule_says_it():
    assert AshaStop().rule([[1, 2, 3]] * 9, LOSS) is None
