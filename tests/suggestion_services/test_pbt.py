from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rungs import Play, parameter

from katib_py.core.space import FeasibleSpace, ParameterSpec
from suggestion_services.contract import FAILED, KILLED, SUCCEEDED, SearchEnded
from suggestion_services.pbt import Pbt, perturbed
from suggestion_services.space import Space

SEARCHED = Space.of([parameter("x", 0, 1), parameter("units", 3, 99, "int", "4")])


def play(size=10, **settings):
    return Play(Pbt(n_population=size, **settings), SEARCHED)


def begun(size=10, **settings):
    """A population whose first generation has ended, and its names with the best first."""
    searched = play(size, **settings)
    names = searched.ask(100)
    for name in names:
        searched.end(name)
    return searched, sorted(names, key=lambda name: searched.known[name].loss)


def test_a_generation_is_asked_for_and_no_more():
    assert len(play().ask(100)) == 10


def test_the_worst_go_on_from_the_best_with_other_values_and_the_rest_from_themselves_with_their_own():
    searched, ranked = begun(truncation_threshold=0.2)
    children = searched.ask(100)
    assert len(children) == 10
    own = {searched.label(name, "member"): name for name in ranked}
    for child in children:
        before, parent = own[searched.label(child, "member")], searched.label(child, "parent")
        if before in ranked[-2:]:
            assert parent in ranked[:2]
            assert searched.values(child) != searched.values(parent)
        else:
            assert parent == before
            assert searched.values(child) == searched.values(before)
        assert searched.label(child, "generation") == "1"


def test_a_straggler_holds_nobody_up_once_half_of_the_generation_has_ended():
    searched = play()
    names = searched.ask(10)
    for name in names[:4]:
        searched.end(name)
    assert searched.ask(10) == []
    searched.end(names[4])
    assert {searched.label(name, "member") for name in searched.ask(10)} == {"0", "1", "2", "3", "4"}


def test_a_failed_member_takes_the_weights_of_one_of_the_best():
    searched = play()
    names = searched.ask(10)
    for name in names:
        searched.end(name, FAILED if name == names[0] else SUCCEEDED, np.nan if name == names[0] else None)
    [child] = [name for name in searched.ask(10) if searched.label(name, "member") == "0"]
    best = sorted(names[1:], key=lambda name: searched.known[name].loss)[:2]
    assert searched.label(child, "parent") in best


def test_a_killed_member_is_run_again_as_it_was_but_not_for_ever():
    searched, _ = begun()
    [first, *others] = searched.ask(10)
    for name in others:
        searched.end(name)
    runs = [first]
    for _ in range(2):
        searched.end(runs[-1], KILLED)
        [again] = searched.ask(1)
        assert searched.label(again, "member") == searched.label(first, "member")
        assert searched.label(again, "generation") == "1"
        runs.append(again)
    searched.end(runs[-1], KILLED)
    assert {searched.label(name, "generation") for name in searched.ask(10)} == {"2"}


def test_a_population_that_failed_as_a_whole_ends_the_search():
    searched = play()
    for name in searched.ask(10):
        searched.end(name, FAILED, np.nan)
    with pytest.raises(SearchEnded, match="no member"):
        searched.ask(10)


def test_a_generation_that_failed_as_a_whole_is_passed_over_once():
    searched, ranked = begun()
    for name in searched.ask(10):
        searched.end(name, FAILED, np.nan)
    children = searched.ask(10)
    assert {searched.label(name, "parent") for name in children} <= set(ranked)
    for name in children:
        searched.end(name, FAILED, np.nan)
    with pytest.raises(SearchEnded):
        searched.ask(10)


def test_values_that_are_resampled_come_from_all_of_the_space():
    searched, ranked = begun(40, truncation_threshold=0.5, resample_probability=1.0)
    drawn = [child for child in searched.ask(100) if searched.values(child)["x"] not in map(value_of(searched), ranked)]
    assert np.ptp([float(searched.values(child)["x"]) for child in drawn]) > 0.6


def value_of(searched):
    return lambda name: searched.values(name)["x"]


def test_trials_that_katibs_service_labelled_are_members_too():
    searched, _ = begun()
    for name in (children := searched.ask(10)):
        searched.end(name)
    expected = searched.algorithm.suggest(searched.request(100))
    members = {name: searched.label(name, "member") for name in searched.known}
    first = {member: name for name, member in members.items() if name not in children}
    for name, trial in searched.known.items():
        labels = {key: value for key, value in trial.labels.items() if key.endswith("generation")}
        # There, a child's parent is always the same member's trial.
        labels |= {"pbt.suggestion.katib.kubeflow.org/parent": first[members[name]]} if name in children else {}
        searched.known[name] = trial._replace(labels=labels)
    assert searched.algorithm.suggest(searched.request(100)) == expected


def test_it_gets_better_from_generation_to_generation():
    searched = Play(Pbt(n_population=10), SEARCHED, lambda values: abs(float(values["x"]) - 0.7)).run(4, most=200)
    losses = [trial.loss for trial in searched.known.values()]
    assert np.mean(losses[-40:-10]) < np.mean(losses[:10]) / 3


DIMENSIONS = [
    parameter("n", 1, 10, "int"),
    parameter("n", -8, 40, "int", "4"),
    parameter("n", 0, 1),
    parameter("n", "0.0001", "0.02", step="0.0001"),
    ParameterSpec(name="n", parameter_type="discrete", feasible_space=FeasibleSpace(list=("16", "32", "64"))),
]


@pytest.mark.parametrize("spec", DIMENSIONS, ids=str)
@given(st.floats(0, 1), st.integers(0, 1000))
def test_a_perturbed_value_is_another_one_near_by_on_the_grid_and_in_the_range(spec, unit, seed):
    [dimension] = Space.of([spec]).dimensions
    coordinate = dimension.from_unit(np.array([unit]))[0]
    found = perturbed(dimension, coordinate, np.random.default_rng(seed))
    assert found != coordinate
    assert dimension.coordinates(np.array([dimension.read(dimension.text(found))]))[0] == pytest.approx(found)
    assert abs(dimension.positions(np.array([found])) - dimension.positions(np.array([coordinate])))[0] <= 0.4
    if spec.parameter_type == "int":
        assert dimension.text(found) == str(int(dimension.text(found)))


def test_a_value_that_has_no_other_stays():
    [dimension] = Space.of([parameter("n", 7, 7, "int")]).dimensions
    assert perturbed(dimension, 0.0, np.random.default_rng(1)) == 0.0
