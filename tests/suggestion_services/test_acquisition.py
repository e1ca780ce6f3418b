from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from suggestion_services.acquisition import ExpectedImprovement, LowerConfidenceBound, ProbabilityOfImprovement

every_acquisition = pytest.mark.parametrize(
    "acquisition", [ExpectedImprovement(0.2), ProbabilityOfImprovement(0.2), LowerConfidenceBound(1.96)]
)
means, deviations = st.floats(-20, 20), st.floats(0.05, 5)


@every_acquisition
@given(means, deviations)
def test_derivatives_are_those_of_finite_differences(acquisition, mean, deviation):
    def value(mean, deviation):
        return acquisition(np.array(mean), np.array(deviation)).value

    worth, step = acquisition(np.array(mean), np.array(deviation)), 1e-6
    by_mean = (value(mean + step, deviation) - value(mean - step, deviation)) / (2 * step)
    by_deviation = (value(mean, deviation + step) - value(mean, deviation - step)) / (2 * step)
    assert worth.by_mean == pytest.approx(by_mean, rel=1e-3, abs=1e-4)
    assert worth.by_deviation == pytest.approx(by_deviation, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("mean", [-3.0, 0.0, 1.0, 2.0])
def test_expected_improvement_is_the_integral(mean):
    integral = quad(lambda loss: (0.2 - loss) * norm.pdf(loss, mean, 0.7), -20, 0.2)[0]
    assert ExpectedImprovement(0.2)(np.array(mean), np.array(0.7)).value == pytest.approx(math.log(integral))


@every_acquisition
def test_far_from_any_improvement_there_is_still_a_slope(acquisition):
    worth = acquisition(np.array([1e3, 1e5, 1e7]), np.full(3, 1e-3))
    assert np.isfinite(worth).all()
    assert (worth.by_mean < 0).all()
    assert (np.diff(worth.value) < 0).all()
