"""The evolution strategy: its mathematics, and how it is told from trials alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.space import ParameterSpec
from suggestion_services import evolution
from suggestion_services.categories import Categories
from suggestion_services.cma_es import CmaEs
from suggestion_services.contract import FAILED, KILLED, RUNNING, SUCCEEDED, Marked, Request, Trials
from suggestion_services.covariance import Gaussian, Weights
from suggestion_services.evolution import GENERATION, MEMBER, RUN
from suggestion_services.history import UsedPoints
from suggestion_services.space import Space

BOX = {"min": "0", "max": "1"}
PLANE = [{"name": name, "parameterType": "double", "feasibleSpace": BOX} for name in "xy"]
LINE = {"name": "n", "parameterType": "int", "feasibleSpace": {"min": "0", "max": "20"}}
KIND = {"name": "kind", "parameterType": "categorical", "feasibleSpace": {"list": ["a", "b", "c", "d"]}}


class History:
    """Trials as a request has them."""

    def __init__(self, trials, space):
        self._trials = trials
        self._width = len(space.dimensions)

    def trials(self):
        points = np.array([item.point for item in self._trials]).reshape(-1, self._width)
        losses, states = ([getattr(item, name) for item in self._trials] for name in ("loss", "state"))
        return Trials(points, np.array(losses), np.array(states))

    def labels(self):
        return [item.labels for item in self._trials]

    def used(self):
        return UsedPoints(set(), self.trials().points)


class Search:
    """A search that runs what it is proposed; `labelled` False: whoever calls loses the labels."""

    def __init__(self, parameters, loss, algorithm=None, labelled=True):
        self.space = Space.of(ParameterSpec.model_validate(item) for item in parameters)
        self.loss, self.algorithm, self.labelled = loss, algorithm or CmaEs(), labelled
        self.trials = []

    def request(self, count):
        return Request(self.space, 1, len(self.trials), count, History(self.trials, self.space))

    def ask(self, count):
        return self.algorithm.suggest(self.request(count))

    def trial(self, proposal, state=SUCCEEDED):
        values = dict(proposal.parameters)
        point = self.space.coordinates([self.space.read(values)])[0]
        labels = dict(proposal.labels) if self.labelled else {}
        return Marked(f"t{len(self.trials)}", labels, point, self.loss(values), state)

    def run(self, budget, count=4):
        while len(self.trials) < budget:
            self.trials += [self.trial(proposal) for proposal in self.ask(count)]
        return self

    @property
    def best(self):
        return min(trial.loss for trial in self.trials)


def bent(values):
    x, y = float(values["x"]) - 0.7, float(values["y"]) - 0.2
    return (x + y) ** 2 + 100 * (x - y) ** 2


@given(st.integers(1, 60), st.integers(2, 200))
def test_positive_weights_add_up_to_one_and_rates_stay_below_it(width, size):
    weights = Weights(width, size)
    assert math.isclose(weights.all[weights.all > 0].sum(), 1.0)
    assert (np.diff(weights.all) <= 1e-12).all()
    assert 0 <= weights.rank_one + weights.rank_mu < 1
    assert 0 < weights.step_rate < 1


@given(st.integers(1, 8), st.integers(0, 10_000))
def test_the_covariance_stays_definite_whatever_the_generation(width, seed):
    generator = np.random.default_rng(seed)
    gaussian = Gaussian.start(np.full(width, 0.5), np.full(width, 0.2))
    for _ in range(30):
        gaussian = gaussian.after(generator.random((8, width)))
    assert np.linalg.eigvalsh(gaussian.covariance).min() > 0
    assert np.isfinite(gaussian.sample(generator)).all()


@given(st.floats(0.001, 0.999), st.floats(1e-9, 0.5), st.integers(2, 50))
def test_a_countable_dimension_keeps_a_chance_to_leave_its_cell(mean, deviation, cells):
    edge = min(math.floor(mean * cells), cells - 1)
    low, high = edge / cells, (edge + 1) / cells
    least = 0.05
    gaussian = Gaussian.start(np.array([mean]), np.array([deviation]))
    kept = gaussian.with_margin(np.array([low]), np.array([high]), least)
    drawn = np.random.default_rng(0).normal(kept.mean[0], kept.deviations[0], 20_000)
    outside = ((drawn < low) & (low > 0)) | ((drawn > high) & (high < 1))
    assert outside.mean() > 0.7 * least


def test_a_category_that_wins_is_drawn_more_and_none_is_lost():
    categories, generator = Categories.start(np.array([4, 2])), np.random.default_rng(0)
    for _ in range(40):
        points = np.array([categories.sample(generator) for _ in range(10)])
        categories = categories.after(points[np.argsort(points[:, 0] != 2, kind="stable")])
    assert categories.shares[0, 2] > 0.8
    assert np.allclose(categories.shares.sum(axis=1), 1)
    assert (categories.shares[0] > 0).all()


def test_a_bent_valley_is_followed_to_its_ground():
    assert Search(PLANE, bent).run(240).best < 1e-6


def test_integers_and_categories_are_searched_beside_doubles():
    def loss(values):
        return bent(values) + abs(int(values["n"]) - 13) + (values["kind"] != "c")

    assert Search([*PLANE, LINE, KIND], loss).run(400).best < 1e-3


def test_a_memory_that_is_lost_changes_no_proposal(monkeypatch):
    search = Search([*PLANE, LINE, KIND], bent).run(60)
    kept = search.ask(3)
    monkeypatch.setattr(evolution, "_states", evolution._States())
    assert search.ask(3) == kept


def test_proposals_say_to_which_generation_they_belong():
    search = Search(PLANE, bent)
    assert [dict(item.labels) for item in search.ask(2)] == [
        {RUN: "0", GENERATION: "0", MEMBER: str(n)} for n in (0, 1)
    ]
    search.run(6, 6)
    assert dict(search.ask(1)[0].labels)[GENERATION] == "1"


def test_a_generation_waits_for_its_members_and_those_that_run_hold_nobody_up():
    search = Search(PLANE, bent)
    search.trials = [search.trial(proposal, RUNNING) for proposal in search.ask(9)]
    assert {dict(item.labels)[GENERATION] for item in search.ask(9)} == {"0"}


def test_results_that_come_late_count_for_their_generation():
    search = Search(PLANE, bent).run(12, 6)
    late = search.trial(search.ask(1)[0])._replace(labels={**search.trials[0].labels, MEMBER: "99"})
    before = search.ask(1)
    search.trials.append(late)
    after = CmaEs().suggest(Request(search.space, 1, 12, 1, History(search.trials, search.space)))
    assert before != after


@pytest.mark.parametrize("foreign", ["", "x", "-"])
def test_trials_whose_labels_are_lost_or_foreign_are_learnt_from(foreign):
    search = Search(PLANE, bent, labelled=False)
    search.run(240)
    assert search.best < 1e-4
    search.trials = [trial._replace(labels={RUN: foreign}) for trial in search.trials]
    assert len(search.ask(2)) == 2


def test_a_generation_of_failures_moves_nothing():
    search = Search(PLANE, bent)
    search.trials = [search.trial(item, FAILED)._replace(loss=math.nan) for item in search.ask(6)]
    (proposal,) = search.ask(1)
    assert dict(proposal.labels)[GENERATION] == "1"


def test_killed_trials_say_nothing():
    search = Search(PLANE, bent)
    search.trials = [search.trial(item, KILLED) for item in search.ask(9)]
    assert dict(search.ask(1)[0].labels)[GENERATION] == "0"


@pytest.mark.parametrize("strategy", ["ipop", "bipop", "none", "None"])
def test_a_search_that_has_converged_starts_anew_if_it_may(strategy):
    search = Search(PLANE, lambda values: 1.0, CmaEs(restart_strategy=strategy)).run(600, 30)
    runs = {trial.labels[RUN] for trial in search.trials}
    assert (len(runs) > 1) == (strategy.lower() != "none")


def test_ipop_doubles_the_population():
    search = Search(PLANE, lambda values: 1.0).run(1200, 6)
    sizes = [sum(t.labels[RUN] == "1" and t.labels[GENERATION] == str(g) for t in search.trials) for g in range(3)]
    assert sizes == [12, 12, 12]


def test_sigma_is_in_units_of_the_parameter():
    wide = [{"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1000"}}]
    values = [float(item.parameters[0][1]) for item in Search(wide, bent, CmaEs(sigma=1.0)).ask(200)]
    assert 0.8 < np.std(values) < 1.2
