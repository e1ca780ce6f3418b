from __future__ import annotations

import numpy as np
import pytest

from katib_py.core.errors import InvalidInput
from katib_py.wire import api
from suggestion_services.bayesian import ACQUISITION, ACQUISITIONS, BayesianOptimization
from suggestion_services.cache import Cache
from suggestion_services.contract import Request
from suggestion_services.registry import ALGORITHMS
from suggestion_services.search import check, search_of

SUCCEEDED, STOPPED = api.TrialStatus.SUCCEEDED, api.TrialStatus.EARLYSTOPPED
RUNNING, FAILED = api.TrialStatus.RUNNING, api.TrialStatus.FAILED
ESTIMATORS = ("GP", "RF", "ET", "GBRT")


@pytest.fixture
def proposals(experiment, trial):
    """What is proposed to trials of (x, loss, condition), x from 1 to 1000; `labels` are those of the first trials."""
    experiment.spec.parameter_specs.parameters[0].feasible_space.max = "1000"

    def proposals(rows, count=1, asked=100, labels=(), **settings):
        search = search_of(experiment, ALGORITHMS)
        trials = [trial(f"t{index}", *row) for index, row in enumerate(rows)]
        for item, text in zip(trials, labels, strict=False):
            item.spec.labels[ACQUISITION] = text
        view = Cache().of(search).full.accept(search, [item.SerializeToString() for item in trials])
        return BayesianOptimization(**settings).suggest(Request(search.space, search.seed, asked, count, view))

    return proposals


@pytest.fixture
def suggest(proposals):
    """The same as numbers."""
    return lambda *arguments, **more: [int(item.parameters[0][1]) for item in proposals(*arguments, **more)]


def valley(low=1, high=1000, condition=SUCCEEDED, step=90):
    return [(x, str(abs(x - 200) / 1000), condition) for x in range(low, high, step)]


@pytest.mark.parametrize("acq_func", ACQUISITIONS)
@pytest.mark.parametrize("base_estimator", ESTIMATORS)
def test_every_model_and_acquisition_finds_the_valley(base_estimator, acq_func, suggest):
    found = suggest(valley(step=20), 1, base_estimator=base_estimator, acq_func=acq_func)
    assert abs(found[0] - 200) < 100


@pytest.mark.parametrize("acq_optimizer", ["auto", "sampling", "lbfgs"])
def test_every_optimizer_finds_the_valley(acq_optimizer, suggest):
    assert abs(suggest(valley(), acq_optimizer=acq_optimizer)[0] - 200) < 60


def test_a_batch_spreads_out(suggest):
    found = sorted(suggest(valley(step=300), 8))
    assert len(set(found)) == 8
    assert found[-1] - found[0] > 20


@pytest.mark.parametrize("base_estimator", ESTIMATORS)
def test_pending_trials_push_proposals_away(base_estimator, suggest):
    first = suggest(valley(), base_estimator=base_estimator)[0]
    pending = [(first, "0", RUNNING)] * 3
    assert suggest(valley() + pending, base_estimator=base_estimator)[0] != first


def test_a_batch_is_what_single_requests_with_pending_trials_get(suggest):
    batch = suggest(valley(), 3)
    assert suggest([*valley(), (batch[0], "0", RUNNING)], asked=101)[0] == batch[1]


def test_the_start_is_even_and_as_long_as_told(suggest):
    assert sorted((x - 1) // 125 for x in suggest([], 8, asked=0)) == list(range(8))
    assert suggest(valley(), 4, asked=8, n_initial_points=12) != suggest(valley(), 4, asked=8, n_initial_points=8)


def test_a_model_waits_for_results(suggest):
    running = [(x, "0", RUNNING) for x in range(1, 1000, 90)]
    assert len(set(suggest(running, 8))) == 8
    assert len(set(suggest([(1, "nan", SUCCEEDED)] * 3, 8, n_initial_points=0))) == 8


def test_proposals_keep_away_from_where_trials_fail(suggest):
    failed = [(x, "0", FAILED) for x in range(100, 300, 20)]
    rows = [*valley(300), *failed]
    assert not any(100 <= x <= 280 for x in suggest(rows, 4))


def test_failures_everywhere_leave_the_valley_attractive(suggest):
    failed = [(x, "0", FAILED) for x in range(40, 1000, 180)]
    assert abs(suggest(valley() + failed)[0] - 200) < 130


def test_trials_stopped_early_lead_where_nothing_has_finished(suggest):
    assert abs(suggest(valley(condition=STOPPED))[0] - 200) < 130


def test_losses_that_are_all_alike_are_no_obstacle(suggest):
    assert len(set(suggest([(x, "1", SUCCEEDED) for x in range(1, 1000, 90)], 8))) == 8


def test_a_huge_loss_does_not_hide_the_valley(suggest):
    assert abs(suggest([*valley(), (999, "1e30", SUCCEEDED)])[0] - 200) < 60


def test_hedging_labels_its_proposals_and_favours_what_was_good(proposals):
    bad_for_ei = [(950, "0.7", SUCCEEDED)] * 10 + [(200, "0", SUCCEEDED)] * 10
    labels = ["EI"] * 10 + ["PI"] * 10
    found = proposals(bad_for_ei + valley(), 6, labels=labels, acq_func="gp_hedge")
    assert [dict(item.labels)[ACQUISITION] for item in found] == ["PI"] * 6


def test_trees_have_no_gradients_to_follow(experiment):
    experiment.spec.algorithm.algorithm_name = "bayesianoptimization"
    for name, value in (("base_estimator", "RF"), ("acq_optimizer", "lbfgs")):
        experiment.spec.algorithm.algorithm_settings.add(name=name, value=value)
    with pytest.raises(InvalidInput, match="is lbfgs, but RF has no gradients to follow; must be auto or sampling"):
        check(experiment, ALGORITHMS)


def test_more_trials_than_a_model_takes_are_thinned_out(suggest):
    rows = [(1 + index % 1000, str(abs(index % 1000 - 200) / 1000 + index * 1e-9), SUCCEEDED) for index in range(2000)]
    assert np.isfinite(suggest(rows, 2)).all()
