from __future__ import annotations

import numpy as np
import pytest

from katib_py.core.space import ParameterSpec
from suggestion_services.belief import MOST, belief_of
from suggestion_services.contract import EARLY_STOPPED, FAILED, SUCCEEDED, Trials
from suggestion_services.features import Features
from suggestion_services.losses import tamed
from suggestion_services.space import Space

SPACE = Space.of(
    [ParameterSpec.model_validate({"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}})]
)
FEATURES = Features(SPACE)


def trials(*rows):
    """Of (x, loss, state)."""
    points, losses, states = (np.array(column) for column in zip(*rows, strict=True))
    return Trials(points[:, None].astype(float), losses.astype(float), states.astype(np.int8))


def valley(low=0.0, high=1.0, step=0.09):
    return [(x, abs(x - 0.2), SUCCEEDED) for x in np.arange(low, high, step)]


def predicted(belief, x):
    return belief.model.predict(FEATURES.of(np.array([[x]])))[0][0]


def test_a_trial_stopped_early_is_known_less_exactly_and_never_leads():
    stopped, succeeded = (
        belief_of(trials(*valley(high=0.8), (0.9, -0.1, state)), FEATURES, "GP") for state in (EARLY_STOPPED, SUCCEEDED)
    )
    assert succeeded.leaders[0] == 0.9
    assert 0.9 not in stopped.leaders
    assert predicted(stopped, 0.9) > predicted(succeeded, 0.9) + 0.1


def test_a_region_of_failures_is_learned():
    failures = [(x, np.nan, FAILED) for x in np.arange(0.62, 1.0, 0.04)]
    belief = belief_of(trials(*valley(high=0.6), *failures), FEATURES, "GP")
    assert belief.failures is not None
    logs = belief.failures.log_success(FEATURES.of(np.array([[0.3], [0.8]])))
    assert logs[0] > np.log(0.8)
    assert logs[1] < np.log(0.2)


def test_one_failure_among_many_is_chance():
    belief = belief_of(trials(*valley(step=0.02), (0.21, np.nan, FAILED)), FEATURES, "GP")
    assert belief.failures is not None
    assert belief.failures.log_success(FEATURES.of(np.array([[0.22]])))[0] > np.log(0.8)


def test_a_model_of_many_trials_knows_the_best_of_them():
    generator = np.random.default_rng(0)
    many = [(x, abs(x - 0.2), SUCCEEDED) for x in generator.random(4 * MOST)]
    belief = belief_of(trials(*many), FEATURES, "GP")
    assert belief.leaders[0] == pytest.approx(0.2, abs=0.01)
    assert predicted(belief, 0.2) < predicted(belief, 0.25) < predicted(belief, 0.9)


def test_losses_keep_their_order_and_lose_their_tail():
    losses = np.array([1e30, 5.0, 1.0, 2.0, 3.0, 4.0, 1e6, 2.0])
    values = tamed(losses)
    assert np.argsort(values, kind="stable").tolist() == np.argsort(losses, kind="stable").tolist()
    assert values[3] == values[7]
    assert values.max() < 3


@pytest.mark.parametrize("losses", [[0.0, 0.0], [3.0] * 7, [1.0, 1.0, 1.0, 2.0], [1.0, 2.0]])
def test_few_or_equal_losses_are_no_obstacle(losses):
    assert np.isfinite(tamed(np.array(losses))).all()
