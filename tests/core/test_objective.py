"""Observations and objective values (control-plane facts 16.3 and 16.4, and what is done right instead)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.objective import Measurement, Metric, ObjectiveSpec, objective_value, observe

START = datetime(2026, 1, 1, tzinfo=UTC)


def rows(*values, metric="acc"):
    return [Measurement(metric, value, START, position) for position, value in enumerate(values)]


def objective(**fields):
    return ObjectiveSpec.model_validate({"type": "maximize", "objectiveMetricName": "acc", **fields})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0.05", "0.06", "0.07"], ("0.05", "0.07", "0.07")),
        (["0.5", "nan", "0.40"], ("0.40", "0.5", "0.40")),
        (["1e-3"], ("1e-3", "1e-3", "1e-3")),
        (["nan"], ("unavailable", "unavailable", "nan")),
        ([], ("unavailable", "unavailable", "unavailable")),
        (["inf", "0.1"], ("0.1", "inf", "0.1")),
        (["-inf"], ("-inf", "-inf", "-inf")),
        (["abc"], ("unavailable", "unavailable", "abc")),
    ],
)
def test_an_observation_keeps_the_extremes_and_the_latest_as_text(values, expected):
    assert observe(rows(*values), ["acc"]) == (Metric("acc", *expected),)


def test_an_older_row_that_comes_late_moves_the_extremes_but_not_the_latest():
    late = Measurement("acc", "0.9", START - timedelta(seconds=5), 9)
    assert observe([*rows("0.1"), late], ["acc"]) == (Metric("acc", "0.1", "0.9", "0.1"),)


def test_metrics_stand_in_the_order_asked_for():
    items = rows("1", metric="loss") + rows("2", metric="acc") + rows("3", metric="other")
    assert [metric.name for metric in observe(items, ["acc", "loss"])] == ["acc", "loss"]


@given(st.lists(st.floats(allow_nan=True).map(repr), max_size=20), st.randoms())
def test_the_order_of_arrival_does_not_matter(values, random):
    items = rows(*values)
    shuffled = random.sample(items, len(items))
    assert observe(shuffled, ["acc"])[0].latest == observe(items, ["acc"])[0].latest


@pytest.mark.parametrize(("strategy", "expected"), [(None, 0.9), ("max", 0.9), ("min", 0.1), ("latest", 0.5)])
def test_the_objective_value_follows_the_metrics_strategy(strategy, expected):
    strategies = [{"name": "acc", "value": strategy}] if strategy else []
    assert objective_value(objective(metricStrategies=strategies), [Metric("acc", "0.1", "0.9", "0.5")]) == expected


def test_an_unavailable_extreme_falls_back_to_the_latest():
    assert objective_value(objective(), [Metric("acc", "unavailable", "unavailable", "0.5")]) == 0.5


@pytest.mark.parametrize("text", ["nan", "unavailable", "", "abc"])
def test_what_is_no_number_is_no_objective_value(text):
    assert objective_value(objective(), [Metric("acc", text, text, text)]) is None


def test_an_absent_goal_is_never_reached_and_zero_is_a_goal():
    assert not objective().reached(1e9)
    assert objective(goal=0.0).reached(0.0)
