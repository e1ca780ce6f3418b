from __future__ import annotations

import numpy as np
import pytest

from katib_py.core.space import ParameterSpec
from suggestion_services import parzen
from suggestion_services.parzen import Estimator, kernels_of
from suggestion_services.space import Space


def dimension(kind, **space):
    [found] = Space.of(
        [ParameterSpec.model_validate({"name": "p", "parameterType": kind, "feasibleSpace": space})]
    ).dimensions
    return found


COUNTABLE = [
    dimension("int", min="1", max="9"),
    dimension("int", min="1", max="900", distribution="logUniform"),
    dimension("double", min="0.5", max="2", step="0.25", distribution="normal"),
    dimension("discrete", list=["1", "10", "100"]),
    dimension("categorical", list=["a", "b", "c", "d"]),
]


@pytest.mark.parametrize("found", COUNTABLE)
@pytest.mark.parametrize("count", [0, 1, 3, 200])
def test_the_masses_of_all_values_are_one_for_every_kernel(found, count):
    points = found.from_unit(np.random.default_rng(0).random(count))
    masses = np.exp(kernels_of(found, points, 1.0).log_masses(np.arange(found.points, dtype=float)))
    assert masses.sum(axis=0) == pytest.approx(np.ones(masses.shape[1]))


@pytest.mark.parametrize("distribution", ["uniform", "logUniform", "normal", "logNormal"])
@pytest.mark.parametrize("count", [0, 1, 3, 2000])
def test_densities_of_a_continuous_parameter_are_one_over_the_scale(distribution, count):
    found = dimension("double", min="0.01", max="10", distribution=distribution)
    positions = (np.arange(20_000) + 0.5) / 20_000
    points = np.random.default_rng(0).random(count)
    densities = np.exp(kernels_of(found, points, 1.0).log_masses(positions))
    assert densities.mean(axis=0) == pytest.approx(np.ones(densities.shape[1]), abs=1e-3)


@pytest.mark.parametrize("found", [*COUNTABLE, dimension("double", min="0", max="1")])
def test_samples_are_values_near_the_points(found):
    points = found.from_unit(np.full(40, 0.9))
    estimator = Estimator([kernels_of(found, points, 1.0)], np.ones(40), 1.0)
    drawn = estimator.sample(500, np.random.default_rng(0))[:, 0]
    assert np.all(found.at_positions(found.positions(drawn)) == drawn)
    assert np.mean(np.abs(found.positions(drawn) - found.positions(points[:1]))) < 0.1


def test_points_that_share_a_value_weigh_as_much_as_apart():
    found = dimension("int", min="1", max="5")
    values, points = np.arange(5.0), np.array([1.0, 1.0, 3.0])
    kernels = kernels_of(found, points, 1.0)
    density = Estimator([kernels], np.array([1.0, 2.0, 3.0]), 1.0).log_densities(values[:, None])[:, 0]
    weights = np.array([1.0, 2.0, 3.0, 1.0]) / 7
    assert np.exp(density) == pytest.approx(np.exp(kernels.log_masses(values))[:, kernels.group_of] @ weights)


def test_a_joint_density_of_one_dimension_is_that_dimensions():
    found = dimension("double", min="0", max="1")
    points = np.random.default_rng(0).random((30, 1))
    estimator = Estimator([kernels_of(found, points[:, 0], 1.0)], np.ones(30), 1.0)
    assert estimator.log_density(points) == pytest.approx(estimator.log_densities(points)[:, 0])


def test_many_points_are_rounded_without_a_visible_change(monkeypatch):
    found = dimension("double", min="0", max="1")
    points, values = np.random.default_rng(0).beta(2, 5, 5000), np.linspace(0.02, 0.7, 100)[:, None]
    rounded = Estimator([kernels_of(found, points, 1.0)], np.ones(5000), 1.0).log_densities(values)
    monkeypatch.setattr(parzen, "MANY", len(points))
    exact = Estimator([kernels_of(found, points, 1.0)], np.ones(5000), 1.0).log_densities(values)
    assert np.max(np.abs(rounded - exact)) < 0.02
