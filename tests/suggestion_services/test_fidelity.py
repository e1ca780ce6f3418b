from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rungs import parameter, space

from katib_py.core.space import Distribution, FeasibleSpace, ParameterCondition, ParameterSpec
from suggestion_services.fidelity import stable
from suggestion_services.hyperband import Hyperband
from suggestion_services.space import Space


def ladder(searched, r_l, **settings):
    return Hyperband(r_l=r_l, resource_name="epochs", **settings).ladder(searched)


@pytest.mark.parametrize(
    ("most", "eta", "levels"), [(9, 3, 2), (27, 3, 3), (81, 3, 4), (243, 3, 5), (1000, 10, 3), (125, 5, 3), (80, 3, 3)]
)
def test_the_number_of_levels_is_exact(most, eta, levels):
    assert ladder(space(most), most, eta=eta).top == levels


def test_the_brackets_are_the_published_ones():
    steps = ladder(space(81), 81)
    assert [steps.sizes(base) for base in range(5)] == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]
    assert steps.texts == ("1", "3", "9", "27", "81")


@given(st.integers(1, 10_000), st.integers(2, 10))
def test_every_rung_keeps_one_of_eta_and_the_last_has_one(most, eta):
    steps = ladder(space(most), most, eta=eta)
    for base in range(steps.top + 1):
        sizes = steps.sizes(base)
        assert [size // eta for size in sizes[:-1]] == sizes[1:]
        assert sizes[-1] >= 1


@pytest.mark.parametrize(
    ("searched", "r_l", "texts"),
    [
        (space(10, 1), 10, ("1", "3", "10")),
        (space(100, 10, step="10"), 90, ("10", "30", "90")),
        (space(1, "0.01", "double"), 1, ("0.0123456790123", "0.037037037037", "0.111111111111", "0.333333333333", "1")),
        (space(1, 1), 9, ("1", "3", "9")),
        (space(20, 20), 9, ("1", "3", "9")),
        (space(27, 3), 27, ("3", "9", "27")),
    ],
)
def test_amounts_have_the_type_and_step_of_the_parameter_but_r_l_says_how_far_they_go(searched, r_l, texts):
    assert ladder(searched, r_l).texts == texts


def test_amounts_of_a_discrete_parameter_are_among_its_values():
    values = FeasibleSpace(list=("1000", "100", "250.0"))
    listed = ParameterSpec(name="epochs", parameter_type="discrete", feasible_space=values)
    assert ladder(Space.of([parameter("x", 0, 1), listed]), 1000).texts == ("100", "250.0", "1000")


def problems(searched, **settings):
    return [str(problem) for problem in Hyperband(**settings).problems(searched, 0)]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "lacks r_l"),
        ({"r_l": 27.0}, "lacks resource_name"),
        ({"r_l": 27.0, "resource_name": "epoch"}, "did you mean epochs?"),
        ({"r_l": 27.0, "resource_name": "epochs", "r_min": 30.0}, "must not exceed r_l"),
        ({"r_l": 3.0, "resource_name": "epochs", "r_min": 0.1}, "a larger eta or r_min"),
    ],
)
def test_what_is_missing_or_wrong_is_said(settings, words):
    assert words in "; ".join(problems(space(), **settings))


def test_what_is_spent_depends_on_nothing_and_nothing_on_it():
    specs = [parameter("x", 0, 1), parameter("n", 1, 3, "int"), parameter("epochs", 1, 27, "int")]
    ties = {"x": ParameterCondition(parent="epochs", values=("3",))}
    tied = Space.of(specs, ties, ["x < 0.5", "n < epochs"])
    found = problems(tied, r_l=27.0, resource_name="epochs")
    assert [problem.split(":")[0] for problem in found] == [
        "spec.parameterConditions.x",
        "spec.parameterConstraints[1]",
    ]


def test_a_resource_must_be_a_number_and_not_alone():
    kinds = ParameterSpec(name="kind", parameter_type="categorical", feasible_space=FeasibleSpace(list=("a", "b")))
    mixed = Space.of([parameter("epochs", 1, 9, "int"), kinds])
    assert "is categorical" in problems(mixed, r_l=9.0, resource_name="kind")[0]
    assert (
        "nothing to search"
        in problems(Space.of([parameter("epochs", 1, 9, "int")]), r_l=9.0, resource_name="epochs")[0]
    )


@given(st.floats(0, 1), st.sampled_from(Distribution))
def test_a_value_is_read_and_written_again_to_the_letter(unit, distribution):
    spec = parameter("x", "0.0000123456789012345", "7.77777777777777777")
    feasible = spec.feasible_space.model_copy(update={"distribution": distribution})
    searched = Space.of([spec.model_copy(update={"feasible_space": feasible})])
    written = stable(searched, searched.texts(searched.from_unit(np.array([[unit]]))[0]))
    point = searched.coordinates([searched.read(dict(written))])[0]
    assert stable(searched, searched.texts(point)) == written


def test_amounts_are_exact_fractions():
    assert ladder(space(1, "0.1", "double"), 0.9).amounts == (Fraction(1, 10), Fraction(3, 10), Fraction(9, 10))
