"""The quasi-random sequence, scrambled and plain."""

from __future__ import annotations

import numpy as np
import pytest

from katib_py.core.space import ParameterSpec
from suggestion_services.contract import Request
from suggestion_services.sobol import Sobol
from suggestion_services.space import Space

BOX = {"min": "0", "max": "1"}
PLANE = Space.of(
    ParameterSpec.model_validate({"name": name, "parameterType": "double", "feasibleSpace": BOX}) for name in "xy"
)


def points(algorithm, asked, count, seed=1):
    found = algorithm.suggest(Request(PLANE, seed, asked, count, history=None))
    return [tuple(float(value) for _, value in proposal.parameters) for proposal in found]


def test_the_plain_sequence_is_the_published_one_without_its_zeros():
    """Joe & Kuo 2008."""
    assert points(Sobol(scramble=False), 0, 4) == [(0.5, 0.5), (0.75, 0.25), (0.25, 0.75), (0.375, 0.375)]


@pytest.mark.parametrize("scramble", [True, False])
def test_it_goes_on_where_it_was(scramble):
    algorithm = Sobol(scramble=scramble)
    assert points(algorithm, 0, 9) == [*points(algorithm, 0, 4), *points(algorithm, 4, 5)]


def test_only_the_scrambled_sequence_depends_on_the_seed():
    assert points(Sobol(), 0, 4, seed=1) != points(Sobol(), 0, 4, seed=2)
    plain = Sobol(scramble=False)
    assert points(plain, 0, 4, seed=1) == points(plain, 0, 4, seed=2)


def test_every_quarter_gets_its_share():
    found = np.array(points(Sobol(), 0, 64))
    assert np.unique((found * 2).astype(int), axis=0, return_counts=True)[1].tolist() == [16] * 4
