from __future__ import annotations

import numpy as np
import pytest

from katib_py.wire import api
from suggestion_services.cache import Cache
from suggestion_services.columns import Columns, Order
from suggestion_services.contract import ACTIVE, NO_LABELS
from suggestion_services.registry import ALGORITHMS
from suggestion_services.search import Batch, search_of


def batch(*keys):
    return Batch(
        np.zeros((len(keys), 1)),
        np.zeros(len(keys)),
        np.zeros(len(keys), dtype=np.int8),
        list(keys),
        [NO_LABELS] * len(keys),
    )


@pytest.mark.parametrize("size", [1, 7, 200])
def test_rows_stay_in_canonical_order_as_they_come(size):
    columns, order = Columns(1), Order()
    keys = [f"{number:04d}" for number in np.random.default_rng(0).permutation(600)]
    for begin in range(0, 600, size):
        columns.append(batch(*keys[begin : begin + size]))
        assert [columns.keys[row] for row in order.of(columns)] == sorted(columns.keys)


def test_a_copy_has_only_the_rows_named():
    columns = Columns(1)
    columns.append(batch("a", "b", "c"))
    assert columns.only(np.array([2, 0])).keys == ["c", "a"]


@pytest.fixture
def search(experiment):
    def search(uid):
        experiment.uid = uid
        return search_of(experiment, ALGORITHMS)

    return search


def test_an_experiments_memory_is_found_again(search):
    cache = Cache()
    assert cache.of(search("a")) is cache.of(search("a"))
    assert cache.of(search("a")) is not cache.of(search("b"))


def test_what_was_used_longest_ago_is_dropped_first(search):
    cache = Cache(experiments=2)
    first, second = cache.of(search("a")), cache.of(search("b"))
    cache.of(search("a"))
    cache.of(search("c"))
    assert cache.of(search("a")) is first
    assert cache.of(search("b")) is not second


def test_trials_in_all_are_bounded(search, trial):
    cache = Cache(trials=3)
    first = cache.of(search("a"))
    first.full.accept(search("a"), [trial(f"t{index}", 1).SerializeToString() for index in range(4)])
    cache.of(search("b"))
    assert cache.of(search("a")) is not first


def test_a_memory_keeps_little_more_than_the_last_requests_trials(search, trial):
    memory = Cache().of(search("a"))
    for turn in range(50):
        memory.full.accept(search("a"), [trial(f"t{i}", 1, str(turn)).SerializeToString() for i in range(100)])
    assert len(memory) <= 2 * 100 + 64


def test_unreadable_trials_keep_their_place_and_give_no_point(search, trial):
    lost = api.Trial(name="lost")
    view = (
        Cache().of(search("a")).full.accept(search("a"), [lost.SerializeToString(), trial("t", 4).SerializeToString()])
    )
    assert view.count == 2
    assert view.trials().points.tolist() == [[3.0]]


def labelled(name, condition, rung):
    message = api.Trial(name=name)
    message.spec.parameter_assignments.assignments.add(name="x", value="0.5")
    message.spec.labels["rung"] = rung
    message.status.condition = condition
    message.status.start_time = f"2026-01-01T00:00:0{rung}Z"
    return message


@pytest.mark.parametrize("kind", ["delta", "full"])
def test_trials_come_with_the_labels_of_their_suggestions_in_canonical_order(kind, search):
    one, trials = (
        search("one"),
        [
            labelled("c", api.TrialStatus.RUNNING, "0"),
            labelled("b", api.TrialStatus.SUCCEEDED, "2"),
            labelled("a", api.TrialStatus.FAILED, "1"),
        ],
    )
    memory = Cache().of(one)
    if kind == "delta":
        view = memory.delta.accept(one, api.HistoryPrefix(), trials)
    else:
        view = memory.full.accept(one, [trial.SerializeToString() for trial in trials])
    assert [(item.name, item.labels["rung"]) for item in view.marked()] == [("a", "1"), ("b", "2"), ("c", "0")]
    assert [item.state in ACTIVE for item in view.marked()] == [False, False, True]
    assert [item["rung"] for item in view.labels()] == ["1", "2", "0"]
