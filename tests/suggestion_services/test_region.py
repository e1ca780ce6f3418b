"""Conditions and constraints in a space: which points count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.space import ParameterCondition, ParameterSpec
from suggestion_services.distinct import draws
from suggestion_services.feasibility import feasibility_problems
from suggestion_services.space import Space


def spec(name, kind, **space):
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})


def when(parent, *values):
    return ParameterCondition(parent=parent, values=values)


SVM = [
    spec("gamma", "double", min="0.01", max="1", distribution="logUniform"),
    spec("kernel", "categorical", list=["rbf", "poly", "linear"]),
    spec("degree", "int", min="2", max="5"),
    spec("c", "double", min="0", max="1", distribution="normal"),
    spec("shift", "int", min="0", max="3"),
]
CONDITIONS = {
    "shift": when("degree", "2", "3"),
    "gamma": when("kernel", "rbf", "poly"),
    "degree": when("kernel", "poly"),
}
NEEDED = {"rbf": {"gamma"}, "poly": {"gamma", "degree"}, "linear": set()}
GRID = [
    spec("x", "int", min="1", max="9"),
    spec("y", "int", min="1", max="9"),
    spec("z", "categorical", list=["a", "b"]),
]
unit = st.floats(0, 1, exclude_max=True)


def points(space, *rows):
    return space.from_unit(np.array(rows))


@given(st.tuples(*[unit] * 5))
def test_an_assignment_has_the_active_parameters_and_no_others(row):
    space = Space.of(SVM, CONDITIONS)
    found = dict(space.texts(points(space, row)[0]))
    needed = {"kernel", "c", *NEEDED[found["kernel"]]}
    assert set(found) == needed | ({"shift"} if found.get("degree") in {"2", "3"} else set())


@given(st.tuples(*[unit] * 5))
def test_an_assignment_read_back_is_the_point(row):
    space = Space.of(SVM, CONDITIONS)
    [point] = points(space, row)
    [again] = space.coordinates([space.read(dict(space.texts(point)))])
    assert np.allclose(again, point, atol=1e-9)
    assert np.array_equal(space.active(again[None]), space.active(point[None]))


def test_what_an_inactive_parameter_has_makes_no_difference():
    space = Space.of(SVM, CONDITIONS)
    read = [space.read({"kernel": "linear", "c": "0.5", **more}) for more in ({}, {"gamma": "0.3"}, {"degree": "x"})]
    rows = space.coordinates(read)
    assert not np.isnan(rows).any()
    assert len(np.unique(rows, axis=0)) == 1


def test_a_missing_active_parameter_is_missing():
    space = Space.of(SVM, CONDITIONS)
    assert np.isnan(space.coordinates([space.read({"kernel": "rbf", "c": "0.5"})])).any()


def test_the_points_of_a_finite_space_are_counted():
    space = Space.of(GRID, {"y": when("z", "a")}, ["x <= y", "x + y != 5"])
    assert space.size == 9 + sum(x <= y and x + y != 5 for x in range(1, 10) for y in range(1, 10))
    every = np.array([space.point_at(index) for index in range(space.size)])
    assert space.feasible(every).all()
    assert list(space.numbers_of(every)) == list(range(space.size))
    assert np.isnan(space.numbers_of(np.array([[8.0, 0.0, 0.0]]))).all()


def test_random_points_satisfy_the_constraints():
    space = Space.of(SVM, CONDITIONS, ["gamma * 2 <= c", "degree != 4"])
    stream = draws(space, np.random.default_rng(1))
    found = [dict(space.texts(next(stream))) for _ in range(300)]
    assert all(float(item["gamma"]) * 2 <= float(item["c"]) for item in found if "gamma" in item)
    assert {item["kernel"] for item in found} == {"rbf", "poly", "linear"}
    assert "4" not in {item.get("degree") for item in found}


def test_rare_points_of_a_finite_space_are_found():
    space = Space.of([spec(name, "int", min="1", max="100") for name in "abc"], {}, ["a == b", "b == c", "a == 77"])
    assert space.size == 1
    assert dict(space.texts(next(draws(space, np.random.default_rng(1))))) == {"a": "77", "b": "77", "c": "77"}


@given(st.tuples(unit, unit))
def test_a_point_is_repaired_without_going_far(row):
    space = Space.of([spec(name, "double", min="0", max="1") for name in "xy"], {}, ["x + y <= 1"])
    [point] = points(space, row)
    repaired = space.repaired(point, np.random.default_rng(1))
    assert space.feasible(repaired[None]).all()
    assert np.abs(repaired - point).max() <= max(sum(row) - 1, 0) + 0.35


@pytest.mark.parametrize(
    ("constraints", "words"),
    [
        (["x > y", "y > x"], "are satisfied by no assignment at all"),
        (["x > 9", "y > 1"], "are satisfied by no assignment at all, 'x > 9' alone by none"),
    ],
)
def test_a_finite_space_with_nothing_left_is_refused(constraints, words):
    [problem] = feasibility_problems(Space.of(GRID, {}, constraints))
    assert (problem.path, problem.message) == ("spec.parameterConstraints", words)


def test_a_space_with_next_to_nothing_left_is_refused():
    space = Space.of([spec(name, "double", min="0", max="1") for name in "xy"], {}, ["x == y"])
    [problem] = feasibility_problems(space)
    assert "none of 262,144 random assignments, 'x == y' alone by none" in problem.message
    assert not list(feasibility_problems(Space.of(SVM, CONDITIONS, ["gamma * 2 <= c"])))
