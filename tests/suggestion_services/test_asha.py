from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from support.rungs import Play

from suggestion_services.asha import Asha
from suggestion_services.contract import FAILED, SUCCEEDED


def asha(**settings):
    return Asha(r_l=27.0, resource_name="epochs", **settings)


def test_a_trial_goes_on_as_soon_as_it_is_the_best_of_three():
    play = Play(asha())
    names = play.ask(3)
    for name in names[:2]:
        play.end(name)
    assert play.label(play.ask(1)[0], "rung") == "0"
    play.end(names[2])
    best = min(names, key=lambda name: float(play.values(name)["x"]))
    [promoted] = [name for name in play.ask(2) if play.label(name, "rung") == "1"]
    assert (play.label(promoted, "parent"), play.values(promoted)["epochs"]) == (best, "3")
    assert play.values(promoted)["x"] == play.values(best)["x"]


@pytest.mark.parametrize("parallel", [1, 10, 100])
def test_there_is_always_work(parallel):
    play = Play(asha()).run(parallel, most=300)
    assert len(play.known) >= 300


@pytest.mark.parametrize("parallel", [1, 10])
def test_about_one_of_eta_goes_on_from_each_rung_and_they_are_its_best(parallel):
    play = Play(asha()).run(parallel, most=400)
    sizes = Counter(play.label(name, "rung") for name in play.known)
    for rung in range(3):
        assert sizes[str(rung + 1)] == pytest.approx(sizes[str(rung)] / 3, abs=4 + sizes[str(rung)] / 10)
    top = [play.known[name].loss for name in play.known if play.label(name, "rung") == "3"]
    assert np.nanmax(top) < 0.3


def test_no_trial_goes_on_twice_and_no_failed_one_does():
    play = Play(asha()).run(10, lambda name: FAILED if int(name[1:]) % 10 == 3 else SUCCEEDED, most=300)
    parents = [play.label(name, "parent") for name in play.known if play.label(name, "parent")]
    assert len(set(parents)) == len(parents) > 50
    assert all(play.known[parent].state == SUCCEEDED for parent in parents)


def test_labels_may_be_missing():
    named, nameless = (Play(asha(), labelled=labelled).run(5, most=200) for labelled in (True, False))
    assert [named.values(name) for name in named.known] == [nameless.values(name) for name in nameless.known]


def test_brackets_begin_with_more_of_the_resource():
    play = Play(asha(brackets=2)).run(10, most=300)
    begun = Counter(play.values(name)["epochs"] for name in play.known if play.label(name, "rung") == "0")
    assert begun["1"] / begun["3"] == pytest.approx(27 / 12, rel=0.1)
    assert {play.label(name, "bracket") for name in play.known} == {"0", "1"}


def test_the_stopping_variant_starts_everything_with_all_of_the_resource():
    play = Play(asha(type="stopping")).run(4, most=40)
    assert {play.values(name)["epochs"] for name in play.known} == {"27"}
    assert len({play.values(name)["x"] for name in play.known}) == len(play.known)
