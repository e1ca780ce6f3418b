from __future__ import annotations

import numpy as np
import pytest
from support.rungs import Play, parameter

from suggestion_services.bohb import Bohb
from suggestion_services.contract import FAILED, SUCCEEDED
from suggestion_services.hyperband import Hyperband
from suggestion_services.space import Space

SEARCHED = Space.of([parameter("x", 0, 1), parameter("y", 0, 1), parameter("epochs", 1, 27, "int")])


def valley(values):
    """More epochs show the place of the minimum better."""
    shown = (float(values["x"]) - 0.8) ** 2 + (float(values["y"]) - 0.2) ** 2
    return shown + 0.3 / int(values["epochs"]) * float(values["x"])


def bohb(**settings):
    return Bohb(r_l=27.0, resource_name="epochs", **settings)


def begun(play):
    """The losses, with all epochs, of new configurations in the order of being proposed."""
    names = [name for name in play.known if play.label(name, "rung") == "0"]
    return [valley({**play.values(name), "epochs": "27"}) for name in names]


def test_it_runs_hyperbands_schedule():
    play = Play(bohb(cycles=1), SEARCHED, valley).run(4)
    assert play.counted() == Play(Hyperband(r_l=27.0, resource_name="epochs"), SEARCHED, valley).run(4).counted()


def test_new_configurations_are_better_than_random_ones():
    ours = begun(Play(bohb(), SEARCHED, valley).run(4, most=250))
    at_random = begun(Play(bohb(random_fraction=1.0), SEARCHED, valley).run(4, most=250))
    assert np.median(ours[60:]) < np.median(at_random[60:]) / 2


def test_without_enough_results_the_configurations_are_random():
    alone = Play(bohb(min_points_in_model=1000), SEARCHED, valley).run(4, most=60)
    at_random = Play(bohb(random_fraction=1.0), SEARCHED, valley).run(4, most=60)
    assert begun(alone) == begun(at_random)


def test_it_goes_on_without_end_unless_it_is_told_how_often():
    assert len(Play(bohb(), SEARCHED, valley).run(9, most=150).known) >= 150


@pytest.mark.parametrize("labelled", [True, False])
def test_failures_are_avoided(labelled):
    play = Play(bohb(random_fraction=0.0), SEARCHED, valley, labelled)
    play.run(4, lambda name: FAILED if float(play.values(name)["y"]) > 0.6 else SUCCEEDED, most=200)
    late = list(play.known)[100:]
    assert np.mean([play.known[name].state == FAILED for name in late]) < 0.15
