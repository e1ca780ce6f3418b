"""What a collector leaves in its termination message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.objective import Metric
from katib_py.core.summary import MOST_BYTES, Summary, read_summary, write_summary

TEXT = st.text(st.characters(codec="utf-8"), max_size=1500)
METRICS = st.lists(st.builds(Metric, TEXT, TEXT, TEXT, TEXT), max_size=6).map(tuple)
TEXTS = st.lists(TEXT, max_size=20).map(tuple)


@given(st.builds(Summary, st.booleans(), TEXT, METRICS, TEXTS, TEXTS))
def test_a_summary_fits_and_says_nothing_that_is_not_so(summary):
    text = write_summary(summary)
    assert len(text.encode()) <= MOST_BYTES
    read = read_summary(text)
    assert read.reported == summary.reported
    assert summary.reason.startswith(read.reason)
    assert summary.observation[: len(read.observation)] == read.observation
    assert set(read.seen) <= set(summary.seen)


def test_the_objective_outlasts_everything_else():
    metrics = tuple(Metric(f"metric-{index}", "0.1", "0.9", "0.5") for index in range(100))
    summary = Summary(False, "no answer " * 100, metrics, ("x" * 100,) * 20, ("y" * 300,) * 20)
    read = read_summary(write_summary(summary))
    assert read.observation[0] == metrics[0]
    assert len(read.observation) > 30
    assert read.reason


def test_a_short_one_is_kept_whole():
    summary = Summary(False, "no answer", (Metric("acc", "0.1", "0.9", "nan"),), ("accuracy",), ("odd",))
    assert read_summary(write_summary(summary)) == summary
    assert write_summary(Summary(True)) == '{"reported": true}'


@pytest.mark.parametrize("text", ["", "reading", "{}", "[]", '{"reported": 1}', "0.5", '{"reported"'])
def test_another_text_is_no_summary(text):
    assert read_summary(text) is None


@pytest.mark.parametrize("value", ["5", '{"a": 1}', "[5, null]", '[{"name": 5}]'])
def test_what_makes_no_sense_in_it_is_passed_over(value):
    assert read_summary(f'{{"reported": false, "observation": {value}, "seen": {value}}}').reported is False
