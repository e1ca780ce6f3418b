from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.tokens import controller_token, is_same, trial_token

trials = st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))


@given(first=trials, second=trials)
def test_no_two_trials_share_a_token(first, second):
    assert is_same(trial_token("key", *first), trial_token("key", *second)) == (first == second)


@given(trial=trials)
def test_no_trial_has_the_controllers_token_nor_the_same_with_another_key(trial):
    token = trial_token("key", *trial)
    assert token != controller_token("key")
    assert token != trial_token("another", *trial)
    assert token == trial_token("key", *trial)
