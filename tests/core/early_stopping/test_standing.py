"""What every stopper promises about live data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.courses import ACCURACY, LOSS

from katib_py.core.early_stopping import (
    STOPPERS,
    AshaStop,
    Course,
    MedianStop,
    PatienceStop,
    PercentileStop,
    ThresholdStop,
)
from katib_py.core.trial import TrialState

EACH = {
    "medianstop": st.builds(MedianStop, st.integers(1, 3), st.integers(1, 3)),
    "percentile": st.builds(PercentileStop, st.just(2), st.just(2), st.floats(1, 99)),
    "asha": st.builds(AshaStop, st.floats(1.1, 4), st.integers(1, 2), st.none() | st.integers(4, 6)),
    "threshold": st.builds(ThresholdStop, st.floats(-2, 0), st.floats(0, 2), st.booleans(), st.integers(1, 3)),
    "patience": st.builds(PatienceStop, st.integers(1, 3), st.floats(0, 1), st.integers(1, 3)),
}
values = st.sampled_from([0.0, 0.5, 1.0, 2.0]) | st.floats(allow_nan=True, allow_infinity=True, width=32)
states = st.sampled_from([TrialState.SUCCEEDED, TrialState.EARLY_STOPPED, TrialState.FAILED, TrialState.RUNNING])
courses = st.lists(st.tuples(st.lists(values, max_size=6), states), max_size=7)


def test_every_stopper_is_tried():
    assert EACH.keys() == STOPPERS.keys()


@pytest.mark.parametrize("name", EACH)
@given(
    data=st.data(),
    given=courses,
    own=st.lists(values, min_size=1, max_size=6),
    objective=st.sampled_from([LOSS, ACCURACY]),
)
def test_the_live_standing_decides_as_the_whole_series_do(name, data, given, own, objective):
    stopper = data.draw(EACH[name])
    standing = stopper.standing(objective)
    for number, (series, state) in enumerate(given):
        for value in series:
            standing.measured(str(number), repr(value))
        if state is not TrialState.RUNNING:
            standing.finished(str(number), state)
    others = [Course(series, state) for series, state in given]
    for step in range(1, len(own) + 1):
        stop = stopper.decide(own[:step], others, objective)
        assert standing.measured("own", repr(own[step - 1])) == (stop.reason if stop else None)


@pytest.mark.parametrize("name", EACH)
@given(data=st.data(), void=st.lists(values, max_size=6), own=st.lists(values, min_size=1, max_size=6))
def test_a_new_attempt_begins_from_nothing(name, data, void, own):
    stopper = data.draw(EACH[name])
    once, twice = stopper.standing(LOSS), stopper.standing(LOSS)
    for value in void:
        twice.measured("own", repr(value))
    twice.begin("own")
    for value in own:
        assert once.measured("own", repr(value)) == twice.measured("own", repr(value))


@pytest.mark.parametrize("name", EACH)
def test_text_that_is_no_number_is_no_step(name):
    standing = STOPPERS[name]().standing(LOSS)
    assert standing.measured("a", "unavailable") is None
    standing.finished("a", TrialState.SUCCEEDED)
