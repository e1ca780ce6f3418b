import pytest
from support.courses import ACCURACY, LOSS, NAN

from katib_py.core.early_stopping import PatienceStop


def first_stop(stopper, values, objective):
    """The step at which the trial is stopped first."""
    steps = range(1, len(values) + 1)
    return next((step for step in steps if stopper.decide(values[:step], [], objective)), None)


def test_so_many_steps_without_improvement_are_waited_for():
    assert first_stop(PatienceStop(3), [5, 4, 4, 4.5, 6, 7], LOSS) == 5
    assert first_stop(PatienceStop(3), [0.5, 0.6, 0.6, 0.5, 0.1], ACCURACY) == 5


def test_an_improvement_begins_the_count_anew():
    assert first_stop(PatienceStop(2), [5, 5, 4, 4, 3, 3, 3], LOSS) == 7


def test_an_improvement_must_be_greater_than_the_least_one():
    assert first_stop(PatienceStop(2, min_delta=0.5), [5, 4.5, 4.6], LOSS) == 3
    assert first_stop(PatienceStop(2, min_delta=0.5), [5, 4.4, 4.6], LOSS) is None


def test_small_improvements_count_once_they_add_up():
    assert first_stop(PatienceStop(3, min_delta=0.5), [5, 4.75, 4.5, 4.25, 4, 3.75], LOSS) is None


def test_the_reason_names_the_best_its_step_and_how_long_ago_that_is():
    stop = PatienceStop(2, min_delta=0.5).decide([5, 4.6, 4.7], [], LOSS)
    assert stop is not None
    assert (stop.step, stop.value, stop.threshold) == (3, 4.7, 5)
    assert stop.reason == (
        "loss: no value was better by more than 0.5 than 5, measured at step 1, in the 2 steps since; "
        "at step 3 it is 4.7"
    )


def test_nan_is_no_improvement():
    assert first_stop(PatienceStop(2), [5, NAN, NAN], LOSS) == 3
    stop = PatienceStop(2).decide([NAN, NAN], [], LOSS)
    assert stop is not None
    assert stop.reason == "loss: none of the first 2 values is a finite number"


def test_nothing_is_stopped_before_the_start_step():
    assert first_stop(PatienceStop(2, start_step=5), [5, 6, 7, 8, 9, 9], LOSS) == 5


@pytest.mark.parametrize("objective", [LOSS, ACCURACY])
def test_no_fixed_rule_says_it(objective):
    assert PatienceStop().rule([[1, 2, 3]] * 9, objective) is None
