"""Generated names."""

import re

from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.names import ALPHABET, trial_name


def test_ten_thousand_trials_of_one_experiment_have_ten_thousand_names():
    assert len({trial_name("demo", "uid", index) for index in range(10_000)}) == 10_000


@given(st.integers(0, 10**9), st.text(max_size=40))
def test_a_suffix_is_a_dns_label_in_katibs_alphabet(index, uid):
    assert re.fullmatch(rf"demo-[a-z][{ALPHABET}]{{7}}", trial_name("demo", uid, index))


def test_the_same_index_has_the_same_name_for_every_controller():
    assert trial_name("demo", "uid", 7) == trial_name("demo", "uid", 7)


def test_another_experiment_of_the_same_name_has_other_trial_names():
    first = {trial_name("demo", "one", index) for index in range(100)}
    assert first.isdisjoint(trial_name("demo", "two", index) for index in range(100))
