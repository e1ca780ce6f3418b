from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import approx_fprime

from suggestion_services.gaussian_process import (
    LEAST_NOISE,
    MEAN_VARIANCE,
    Data,
    Hyperparameters,
    Process,
    fit,
    loss_and_gradient,
    matern,
    prior,
)

OWNERS = np.array([0, 1, 1, 1, 2])


def data(count=25, seed=0, noise=0.0):
    """A wave over five columns of three parameters."""
    generator = np.random.default_rng(seed)
    rows = generator.random((count, 5))
    values = np.sin(6 * rows[:, 0]) + rows[:, 1] + noise * generator.standard_normal(count)
    return Data(rows, (values - values.mean()) / values.std(), np.zeros(count), OWNERS)


logarithms = st.lists(st.floats(-2, 2), min_size=5, max_size=5).map(np.array)


@given(logarithms)
def test_the_gradient_of_the_fit_is_that_of_finite_differences(logs):
    numbers = data()
    numeric = approx_fprime(logs, lambda at: loss_and_gradient(at, numbers)[0], 1e-6)
    assert loss_and_gradient(logs, numbers)[1] == pytest.approx(numeric, rel=1e-3, abs=1e-2)


@given(logarithms, st.integers(0, 5))
def test_the_gradients_of_a_prediction_are_those_of_finite_differences(logs, seed):
    process, row = Process(data(), Hyperparameters(logs)), np.random.default_rng(seed).random(5)
    _, _, by_mean, by_deviation = process.gradients(row)
    for place, gradient in enumerate((by_mean, by_deviation)):
        numeric = approx_fprime(row, lambda at, place=place: process.predict(at[None])[place][0], 1e-6)
        assert gradient == pytest.approx(numeric, rel=1e-3, abs=1e-3)


def test_the_posterior_is_the_textbooks():
    numbers, hyper, rows = data(8), Hyperparameters(np.array([0.0, 0.5, 1.0, 0.3, -2.0])), np.random.rand(4, 5)

    def covariance(one, other):
        away = (one[:, None] - other[None]) ** 2 @ hyper.weights[OWNERS]
        return hyper.amplitude * matern(away)[0] + MEAN_VARIANCE

    known = cho_factor(covariance(numbers.rows, numbers.rows) + hyper.noise * np.eye(8))
    across = covariance(numbers.rows, rows)
    mean, deviation = Process(numbers, hyper).predict(rows)
    assert mean == pytest.approx(across.T @ cho_solve(known, numbers.values))
    assert deviation**2 == pytest.approx(np.diag(covariance(rows, rows) - across.T @ cho_solve(known, across)))


def test_exact_values_are_met_and_noisy_ones_smoothed():
    exact, noisy = data(40), data(80, noise=1.0)
    assert Process(exact, fit(exact)).predict(exact.rows)[0] == pytest.approx(exact.values, abs=0.05)
    assert np.abs(Process(noisy, fit(noisy)).predict(noisy.rows)[0] - noisy.values).mean() > 0.2


def test_a_parameter_that_does_not_matter_gets_the_longest_scale():
    numbers = data(60)
    assert np.argmin(fit(numbers).weights) == 2


def test_a_value_known_less_exactly_counts_less():
    rows = np.array([[0.5] * 5, [0.5] * 5])
    doubted = Data(rows, np.array([1.0, -1.0]), np.array([0.0, 4.0]), OWNERS)
    assert Process(doubted, Hyperparameters(prior(3)[0])).predict(rows[:1])[0][0] > 0.5


def test_a_pending_point_leaves_the_means_and_takes_the_doubt_around_it():
    numbers, row, elsewhere = data(10), np.full(5, 0.9), np.full(5, 0.1)
    process = Process(numbers, Hyperparameters(np.array([-1.0, -1.0, -1.0, 0.0, -10.0])))
    pending = process.with_pending(row)
    rows = np.array([row, elsewhere])
    assert pending.predict(rows)[0] == pytest.approx(process.predict(rows)[0])
    assert pending.predict(rows)[1][0] < 0.05
    assert process.predict(rows)[1].min() > 0.5
    again = Data(
        np.vstack((numbers.rows, row)), np.append(numbers.values, process.predict(row[None])[0]), np.zeros(11), OWNERS
    )
    exact = Process(again, Hyperparameters(np.array([-1.0, -1.0, -1.0, 0.0, -10.0])))
    assert pending.predict(rows)[1] == pytest.approx(exact.predict(rows)[1])


def test_the_same_point_many_times_is_no_obstacle():
    rows = np.full((50, 5), 0.5)
    process = Process(
        Data(rows, np.zeros(50), np.zeros(50), OWNERS), fit(Data(rows, np.zeros(50), np.zeros(50), OWNERS))
    )
    for _ in range(50):
        process = process.with_pending(rows[0])
    assert np.isfinite(process.predict(rows)).all()
    assert process.predict(rows)[1][0] ** 2 < 10 * LEAST_NOISE
