"""What the collectors beside a run's pods leave, as it is read."""

from __future__ import annotations

import pytest

from katib_py.backends.k8s.left import Left
from katib_py.backends.k8s.pods import Pod
from katib_py.core.objective import Metric
from katib_py.core.summary import Summary, write_summary

ACCURACY = Metric("acc", "0.3", "0.6", "0.4")


def pod(name, summary):
    text = summary if isinstance(summary, str) else write_summary(summary)
    return Pod("ns", name, name, "trial", "", {}, "", "", "", "Succeeded", {}, False, None, text)


def test_of_a_collector_that_has_reported_everything_only_its_remarks_count():
    left = Left.of([pod("a", Summary(True, observation=(ACCURACY,), seen=("loss",), notes=("odd",)))])
    assert left == Left((), ("loss",), ("odd",))


def test_what_could_not_be_reported_is_taken_and_said():
    left = Left.of([pod("a", Summary(True)), pod("b", Summary(False, "nobody answers", (ACCURACY,)))])
    assert left.observation == (ACCURACY,)
    assert left.notes == ("the collector of pod b could not report everything: nobody answers",)


@pytest.mark.parametrize("text", ["", "Killed", "[]", '{"reported": 1}'])
def test_last_words_that_are_no_collectors_say_nothing(text):
    assert Left.of([pod("a", text)]) == Left()
