"""The live picture's line of the best value so far."""

import pytest

from katib_py.cli.progress import Step, curve, history_line, sparkline


@pytest.mark.parametrize(
    ("bests", "end", "width", "values"),
    [
        ([Step(1, 0.2), Step(3, 0.5)], 5, 40, [0.2, 0.2, 0.5, 0.5, 0.5]),
        ([Step(1, 0.2), Step(3, 0.5)], 5, 3, [0.2, 0.5, 0.5]),
        ([Step(4, 0.2), Step(5, 0.5)], 5, 40, [0.2, 0.5]),
        ([Step(1, 0.2), Step(900, 0.5)], 1000, 4, [0.2, 0.2, 0.2, 0.5]),
    ],
)
def test_the_curve_is_the_best_value_so_far_over_the_finished_trials(bests, end, width, values):
    assert curve(bests, end, width) == values


def test_the_line_shows_the_first_and_the_last_value_and_fits_its_room():
    line = history_line([Step(1, 0.912345), Step(30, 0.95), Step(99, 0.981234)], 100, 40)
    assert line.startswith("0.9123 ▁")
    assert line.endswith("█ 0.9812")
    assert len(line) == 40


def test_there_is_no_line_before_the_best_value_has_changed():
    assert history_line([], 0, 40) is None
    assert history_line([Step(1, 0.5)], 10, 40) is None


def test_values_that_are_all_one_are_a_flat_line():
    assert sparkline([1.0, 1.0]) == "▁▁"
