from __future__ import annotations

import numpy as np
import pytest

from katib_py.core.space import ParameterSpec
from suggestion_services.ascent import Ascent
from suggestion_services.features import Features
from suggestion_services.space import Space


def spec(name, kind, **space):
    return ParameterSpec.model_validate({"name": name, "parameterType": kind, "feasibleSpace": space})


RATE = spec("rate", "double", min="0", max="1")
UNITS = spec("units", "int", min="0", max="100")
KERNEL = spec("kernel", "categorical", list=["p", "q", "r"])
SMALL = (spec("x", "int", min="1", max="9"), KERNEL)


class Peak:
    """Highest, 0, where the features are these."""

    def __init__(self, top):
        self.top = top

    def values(self, rows):
        return -((rows - self.top) ** 2).sum(axis=1)

    def gradient(self, row):
        return float(self.values(row[None])[0]), -2 * (row - self.top)


def ranked(parameters, top, taken=frozenset(), climb=True, constraints=()):
    space = Space.of(parameters, constraints=constraints)
    features = Features(space)
    wanted = features.of(space.coordinates([space.read(top)]))[0]
    ascent = Ascent(space, features, np.empty((0, len(parameters))), taken)
    found = ascent.ranked(Peak(wanted), np.random.default_rng(0), climb)
    return [dict(space.texts(point)) for point in found], found


def test_the_top_of_a_mixed_space_is_found():
    best = ranked((RATE, UNITS, KERNEL), {"rate": "0.123456789", "units": "37", "kernel": "q"})[0][0]
    assert float(best["rate"]) == pytest.approx(0.123456789, abs=1e-5)
    assert (best["units"], best["kernel"]) == ("37", "q")


def test_without_gradients_draws_and_sweeps_come_close():
    best = ranked((RATE, UNITS, KERNEL), {"rate": "0.3", "units": "37", "kernel": "q"}, climb=False)[0][0]
    assert float(best["rate"]) == pytest.approx(0.3, abs=0.05)
    assert best["kernel"] == "q"


def test_a_small_space_is_ranked_as_a_whole_without_what_is_taken():
    top = {"x": "4", "kernel": "r"}
    texts, points = ranked(SMALL, top)
    assert (texts[0], len(texts)) == (top, 27)
    others, _ = ranked(SMALL, top, taken=frozenset([points[0].tobytes()]))
    assert others == texts[1:]


def test_only_what_the_constraints_allow_is_ranked():
    top = {"rate": "0.9", "units": "90", "kernel": "q"}
    texts, _ = ranked((RATE, UNITS, KERNEL), top, constraints=("rate * 100 + units <= 60",))
    assert all(float(item["rate"]) * 100 + int(item["units"]) <= 60.0001 for item in texts)
    assert float(texts[0]["rate"]) * 100 + int(texts[0]["units"]) > 50
