from __future__ import annotations

import numpy as np
import pytest

from katib_py.wire import api
from suggestion_services.cache import Cache
from suggestion_services.contract import Request
from suggestion_services.registry import ALGORITHMS
from suggestion_services.search import search_of
from suggestion_services.tpe import MultivariateTpe, Tpe


@pytest.fixture
def suggest(experiment, trial):
    """The values proposed by an algorithm that has seen trials of (x, loss, condition)."""
    experiment.spec.parameter_specs.parameters[0].feasible_space.max = "1000"

    def suggest(algorithm, rows, count=20, asked=100):
        search = search_of(experiment, ALGORITHMS)
        raw = [trial(f"t{index}", *row).SerializeToString() for index, row in enumerate(rows)]
        view = Cache().of(search).full.accept(search, raw)
        proposals = algorithm.suggest(Request(search.space, search.seed, asked, count, view))
        return [int(proposal.parameters[0][1]) for proposal in proposals]

    return suggest


both = pytest.mark.parametrize("kind", [Tpe, MultivariateTpe])
SUCCEEDED, STOPPED, RUNNING = api.TrialStatus.SUCCEEDED, api.TrialStatus.EARLYSTOPPED, api.TrialStatus.RUNNING


def valley(low, high, condition=SUCCEEDED):
    return [(x, str(abs(x - 200) / 1000), condition) for x in range(low, high, 40)]


@both
def test_proposals_gather_where_losses_are_least(kind, suggest):
    assert abs(np.median(suggest(kind(), valley(1, 1000))) - 200) < 100


@both
def test_a_point_stopped_early_is_not_good_while_finished_ones_are(kind, suggest):
    stopped = [(x, "-5", STOPPED) for x in range(800, 900, 10)]
    assert np.median(suggest(kind(), valley(1, 1000) + stopped)) < 500


@both
def test_points_stopped_early_lead_where_nothing_has_finished(kind, suggest):
    assert abs(np.median(suggest(kind(), valley(1, 1000, STOPPED))) - 200) < 100


@both
def test_pending_points_push_others_away(kind, suggest):
    pending = [(x, "0", RUNNING) for x in range(150, 250, 2)]
    near = [abs(x - 200) < 50 for x in suggest(kind(), valley(1, 1000) + pending)]
    assert np.mean(near) < np.mean([abs(x - 200) < 50 for x in suggest(kind(), valley(1, 1000))])


@both
def test_the_start_sees_every_part_of_the_range(kind, suggest):
    assert sorted((x - 1) // 100 for x in suggest(kind(), [], count=10, asked=0)) == list(range(10))


@both
def test_the_start_is_as_long_as_told(kind, suggest):
    rows = valley(1, 1000)
    assert suggest(kind(n_startup_trials=len(rows) + 1), rows) != suggest(kind(n_startup_trials=len(rows)), rows)


@both
def test_no_start_and_no_candidates_are_legal(kind, suggest):
    assert len(suggest(kind(n_startup_trials=0, n_ei_candidates=0), [])) == 20
    assert len(suggest(kind(n_startup_trials=0, n_ei_candidates=0), valley(1, 1000))) == 20
