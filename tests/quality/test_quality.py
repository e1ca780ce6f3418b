"""The benchmark of the searches: what its scores mean, that its tables are real, how its peers are spoken to."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality import baselines, fidelity, suite, tables, training, versions
from benchmarks.quality.analytic import NETWORK
from benchmarks.quality.cells import BATCHES, Cell, Runner, Selection, chosen
from benchmarks.quality.pipe import PeerFailed, Pipe
from benchmarks.quality.problems import Loss
from benchmarks.quality.search import Ours, Peer
from suggestion_services.space import Space

HERE = Path(sys.executable)
EVERY_KIND = NETWORK.parameters


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """What is kept between runs of the benchmark is kept in the working directory."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["draws", "optuna-tpe"])
def test_a_peer_proposes_points_of_the_space_over_its_pipe(name):
    peer, space = Peer(name, EVERY_KIND, 1, HERE), Space.of(EVERY_KIND)
    for _ in range(3):
        points = peer.ask(8)
        peer.tell([float(point["dropout"]) for point in points])
        read = [space.read(point) for point in points]
        assert np.allclose([space.read(dict(space.texts(row))) for row in space.coordinates(read)], read)
    peer.close()


def test_a_peer_begins_alike_with_the_same_seed():
    first, again, other = (Peer("draws", EVERY_KIND, seed, HERE) for seed in (1, 1, 2))
    assert first.ask(4) == again.ask(4) != other.ask(4)
    for peer in (first, again, other):
        peer.close()


def test_what_a_peer_raises_is_told():
    peer = Peer("optuna-tpe", EVERY_KIND, 1, HERE)
    peer.ask(1)
    with pytest.raises(PeerFailed, match="tell: ValueError"):
        peer.tell([1.0, 2.0])


def test_an_unknown_peer_is_told():
    with pytest.raises(PeerFailed, match="start: KeyError: 'nobody'"):
        Pipe(HERE, {"what": "nobody", "seed": 1, "space": []})


def test_random_search_is_expected_to_score_nothing():
    generator = np.random.default_rng(1)
    pool = generator.exponential(size=1000)
    found = [generator.choice(pool, 64).min() for _ in range(4000)]
    assert baselines.expected([Loss(value, value) for value in pool], 64) == pytest.approx(np.mean(found), rel=0.05)


def test_under_noise_what_looks_best_is_judged_by_its_true_loss():
    assert baselines.expected([Loss(1.0, 5.0), Loss(2.0, 0.0)], 1) == 2.5
    assert chosen({"seen": [3.0, 1.0, 0.5], "true": [0.0, 5.0, 9.0]}, 2) == 5.0


def test_a_score_goes_from_random_search_to_the_least_loss():
    problem = suite.PROBLEMS["network"]
    entry = baselines.read()["network"]["0"]
    assert baselines.score(problem, 3, entry["128"], 128) == 0
    assert baselines.score(problem, 3, entry["least"], 128) == 100


def test_every_problem_has_a_baseline_for_every_seed():
    known = baselines.read()
    for problem in suite.PROBLEMS.values():
        for seed in baselines.SEEDS:
            entry = known[problem.name][str(problem.instance(seed))]
            assert entry["64"] > entry["128"] > entry["least"]


def cross_validated(model, data):
    from sklearn.metrics import roc_auc_score

    x, y = data
    parts = [
        roc_auc_score(y[valid], model.fit(x[train], y[train]).decision_function(x[valid]))
        for train, valid in training.folds(data, 3)
    ]
    return 1 - np.mean(parts)


@pytest.mark.parametrize(("cost", "gamma"), [("1", "0.01"), ("100", "0.001"), ("1000", "10")])
def test_a_loss_of_a_table_is_that_of_a_real_training(cost, gamma):
    from sklearn.svm import SVC

    table = suite.PROBLEMS["svm breast-cancer"]
    values = {"C": cost, "gamma": gamma, "kernel": "rbf", "degree": "3", "coef0": "0", "class_weight": "none"}
    loss = cross_validated(SVC(C=float(cost), gamma=float(gamma)), training.load("breast-cancer"))
    assert table.at(values) == pytest.approx(loss, abs=np.ptp(table.cells) / tables.CODES)


@pytest.mark.parametrize("table", [*tables.TUNING, tables.DIGITS_CURVES], ids=lambda table: table.name)
def test_a_table_has_a_loss_for_every_combination_of_levels(table):
    assert table.cells.shape[: len(table.axes)] == table.shape
    assert np.isfinite(table.cells).all()


def test_a_value_between_levels_meets_the_nearest_on_its_scale():
    axis = tables.between("C", 1, 100, 3)
    assert [axis.index(text) for text in ("1", "3", "3.3", "31", "32")] == [0, 0, 1, 1, 2]
    assert tables.words("kernel", "rbf", "poly").index("poly") == 1


def test_a_cell_is_kept_and_not_run_again(tmp_path):
    runner = Runner(tmp_path / "cells", tmp_path)
    selection, said = Selection(("random",), ("network",), (4,), (BATCHES,), curves=False), []
    runner.run(selection, said.append)
    runner.run(selection, said.append)
    (kept,) = (path for path in runner.root.rglob("*") if path.is_file())
    assert len(said) == 1
    assert kept == Cell("random", "network", BATCHES, 4).path(runner.root)
    assert len(json.loads(kept.read_text())["true"]) == 128


def test_a_cell_that_fails_is_told_of_and_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(NETWORK.__class__, "open", lambda *_: None)
    runner, said = Runner(tmp_path / "cells", tmp_path), []
    runner.run(Selection(("random",), ("network", "valley"), (4,), (BATCHES,), curves=False), said.append)
    assert [line.partition(": ")[0] for line in said] == [
        "random, network, 16x8, seed 4",
        "random, valley, 16x8, seed 4",
    ]
    assert not runner.root.exists()


def test_our_searches_learn_from_what_they_are_told():
    search = Ours("tpe", EVERY_KIND, 1)
    losses = []
    for _ in range(16):
        points = search.ask(8)
        losses += [NETWORK.loss(point) for point in points]
        search.tell(losses[-8:])
    assert np.median(losses[-32:]) < 0.6 * np.median(losses[:32])


def test_code_with_other_comments_is_the_same_code():
    one, same, other = (
        versions._bare(ast.parse(text))
        for text in ('"""Doc."""\nx = 1', '# why\n"""Other."""\n\nx = 1', '"""Doc."""\nx = 2')
    )
    assert one == same != other


def test_the_version_of_a_search_is_that_of_its_proposals(tmp_path):
    digests = {name: versions.version_of_ours(name, tmp_path) for name in ("random", "sobol", "tpe")}
    assert len(set(digests.values())) == 3
    assert digests["tpe"] == versions.behaviour("tpe")


def test_full_trainings_cost_all_their_epochs():
    ends = fidelity.run("random", 1)["ends"]
    assert [end["spent"] for end in ends] == sorted(end["spent"] for end in ends)
    assert ends[7]["spent"] == 8 * tables.EPOCHS
    assert ends[-1]["spent"] >= fidelity.LIMIT
    assert all(end["scratch"] == end["spent"] for end in ends)


@pytest.mark.parametrize("name", [name for name in fidelity.SETTINGS if name in fidelity.searches()])
def test_a_search_that_goes_on_pays_only_for_the_epochs_that_are_missing(name):
    ends = fidelity.run(name, 1, limit=1500)["ends"]
    assert {end["epochs"] for end in ends} >= {1, 3, 9, 27, 81}
    assert ends[-1]["spent"] < ends[-1]["scratch"]
    assert fidelity.reached({"ends": ends}, 2.0) == ends[0]["spent"]


def test_a_curve_of_the_table_is_that_of_a_real_training():
    from benchmarks.quality.networks import Rates, Shape, brier_curves

    values = {"learning_rate": "0.1", "momentum": "0.48", "l2": "1e-6", "units": "8", "batch_size": "256"}
    (rate, momentum, l2), rows = tables.CURVES[:3], training.split(training.load("digits"), 1000)
    levels = [axis.levels[axis.index(values[axis.name])] for axis in (rate, momentum, l2)]
    rates = Rates(*(np.array([level], dtype=np.float32) for level in levels))
    curve = [losses[0] for losses in brier_curves(rows, Shape(8, 256), rates, 5)]
    assert tables.DIGITS_CURVES.at(values)[:5] == pytest.approx(curve, abs=1e-3)
