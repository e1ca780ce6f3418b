"""What an experiment's objects are told, and what becomes of a write that comes late, twice, or to nothing."""

import random
from dataclasses import replace

import pytest
from support.cluster.stores import stores

from katib_py.backends.k8s.errors import Unreachable
from katib_py.backends.k8s.resources import EXPERIMENTS, SUGGESTIONS, TRIALS
from katib_py.controller.ports import Change, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound, StoreUnavailable
from katib_py.core.objective import Metric
from katib_py.core.trial import Assignment, TrialRecord, TrialState

STATUS = {"trials": 1, "startTime": "2026-01-01T00:00:00Z"}
METRICS = (Metric("acc", "0.1", "0.5", "0.5"),)


def assignment(index):
    return Assignment(f"demo-{index}", index, (("lr", "0.5"), ("layers", str(index))))


def assigning(*indices):
    total = max(indices) + 1
    trials = {f"demo-{index}": TrialRecord(assignment(index), 1.0) for index in indices}
    return Change([assignment(index) for index in indices], min(indices), SuggestionRecord(total, total), trials)


def changed(*trials, status=None):
    return Change(trials={trial.name: trial for trial in trials}, status=status)


def running(trial):
    return replace(trial, state=TrialState.RUNNING, started=10.0)


def ended(trial):
    return replace(trial, state=TrialState.SUCCEEDED, started=10.0, completed=20.0, observation=METRICS)


@pytest.fixture
async def made(api_server, crds, namespace):
    async with stores(api_server, namespace) as found:
        await found.create()
        yield found


async def begun(made, *indices):
    """A store that has just made these trials, and the trials."""
    store = made.store()
    await store.load(made.key)
    uids = await store.commit(made.key, assigning(*indices))
    return store, [replace(TrialRecord(assignment(index), 1.0), uid=uids[f"demo-{index}"]) for index in indices]


def patches(made, monkeypatch):
    """What is sent from now on as a patch: the kind and the body."""
    sent, patch = [], made.api.patch

    async def recorded(resource, where, body, subresource=""):
        sent.append((resource.kind, body))
        return await patch(resource, where, body, subresource)

    monkeypatch.setattr(made.api, "patch", recorded)
    return sent


async def test_nothing_is_sent_but_what_has_changed(made, monkeypatch):
    store, (trial,) = await begun(made, 0)
    await store.commit(made.key, changed(status=STATUS))
    sent = patches(made, monkeypatch)
    await store.commit(made.key, changed(running(trial), status={**STATUS, "trials": 2}))
    await store.commit(made.key, changed(ended(trial), status={"trials": 2}))
    await store.commit(made.key, changed(status={"trials": 2}))
    keys = [(kind, {**body["status"], **dict.fromkeys(body["status"], ...)}) for kind, body in sent]
    assert keys == [
        ("Trial", dict.fromkeys(["startTime", "conditions"], ...)),
        ("Experiment", {"trials": ...}),
        ("Trial", dict.fromkeys(["observation", "completionTime", "conditions"], ...)),
        ("Experiment", {"startTime": ...}),
    ]
    assert [body["metadata"].keys() for _, body in sent] == [{"resourceVersion"}] * 4
    assert sent[-1][1]["status"] == {"startTime": None}


async def test_a_trial_costs_no_status_before_it_runs(made, monkeypatch):
    store = made.store()
    await store.load(made.key)
    sent = patches(made, monkeypatch)
    await store.commit(made.key, assigning(0, 1))
    assert "Trial" not in {kind for kind, _ in sent}


async def test_the_late_write_of_an_earlier_controller_undoes_nothing(made):
    old, (trial,) = await begun(made, 0)
    new = made.store()
    await new.load(made.key)
    await new.commit(made.key, changed(ended(trial), status={"trials": 7}))
    before = made.trials(), made.client.get(made.path(EXPERIMENTS))
    for late in (changed(running(trial)), changed(status={"trials": 1})):
        with pytest.raises(Conflict):
            await old.commit(made.key, late)
    assert (made.trials(), made.client.get(made.path(EXPERIMENTS))) == before


async def test_who_edits_the_budget_is_in_nobodys_way(made):
    store, _ = await begun(made, 0)
    for number in range(5):
        await made.edit(maxTrialCount=10 + number)
        await store.commit(made.key, changed(status={"trials": number + 1}))
    document = made.client.get(made.path(EXPERIMENTS))
    assert (document["spec"]["maxTrialCount"], document["status"]["trials"]) == (14, 5)


async def test_who_labels_a_trial_is_in_nobodys_way(made):
    store, (trial,) = await begun(made, 0)
    made.client.patch(made.path(TRIALS, "demo-0"), {"metadata": {"labels": {"mine": "yes"}}})
    await store.commit(made.key, changed(ended(trial)))
    (document,) = made.trials()
    assert document["metadata"]["labels"]["mine"] == "yes"
    assert document["status"]["completionTime"] == "1970-01-01T00:00:20Z"


async def test_a_trial_that_was_deleted_is_a_conflict_and_then_an_assignment_again(made):
    store, (trial, other) = await begun(made, 0, 1)
    made.client.delete(made.path(TRIALS, "demo-0"))
    with pytest.raises(Conflict, match="deleted"):
        await store.commit(made.key, changed(running(trial), ended(other)))
    stored = await store.load(made.key)
    assert stored.unused == (assignment(0),)
    assert [item.name for item in await store.finished(made.key, 0, 9)] == ["demo-1"]
    assert (await store.commit(made.key, assigning_again(0)))["demo-0"] != trial.uid


def assigning_again(index):
    return changed(TrialRecord(assignment(index), 1.0))


async def test_a_trial_that_is_being_deleted_is_made_again_once_it_has_gone(made):
    store, _ = await begun(made, 0)
    path = made.path(TRIALS, "demo-0")
    made.client.patch(path, {"metadata": {"finalizers": ["tests/held"]}})
    made.client.delete(path)
    stored = await store.load(made.key)
    assert (stored.unused, stored.live, stored.suggestion.assigned) == ((), (), 1)
    made.client.patch(path, {"metadata": {"finalizers": None}})
    assert (await store.load(made.key)).unused == (assignment(0),)


async def test_trials_that_are_there_prove_how_many_were_assigned(made):
    store, _ = await begun(made, 0, 1, 2)
    made.client.delete(made.path(SUGGESTIONS))
    with pytest.raises(Conflict):
        await store.commit(made.key, assigning(3))
    assert (await store.load(made.key)).suggestion.assigned == 3
    await store.commit(made.key, assigning(3))
    again = made.store()
    stored = await again.load(made.key)
    assert (stored.suggestion.assigned, len(stored.live), stored.unused) == (4, 4, ())


async def behind(made):
    """A store, another that does not know of the newest trial, and that trial."""
    store, _ = await begun(made, 0)
    other = made.store()
    await other.load(made.key)
    uids = await store.commit(made.key, assigning(1))
    return store, other, replace(TrialRecord(assignment(1), 1.0), uid=uids["demo-1"])


async def test_a_trial_that_another_controller_made_is_taken_for_what_it_is(made):
    _, other, trial = await behind(made)
    assert await other.commit(made.key, assigning_again(1)) == {"demo-1": trial.uid}


async def test_what_was_assigned_was_asked_for_though_the_controller_died_before_it_said_so(made):
    await begun(made, 0, 1)
    made.client.patch(made.path(SUGGESTIONS), {"spec": {"requests": 1}})
    store = made.store()
    assert (await store.load(made.key)).suggestion.requests == 2
    await store.commit(made.key, changed(status=STATUS))
    assert made.suggestion()["spec"]["requests"] == 2


async def test_a_trial_of_other_parameters_is_not_taken_for_ours(made):
    _, other, trial = await behind(made)
    strange = replace(trial.assignment, parameters=(("lr", "0.25"), ("layers", "3")))
    with pytest.raises(Conflict, match="other parameters"):
        await other.commit(made.key, changed(TrialRecord(strange, 1.0)))


async def test_a_trial_that_ran_already_is_not_made_again(made):
    store, other, trial = await behind(made)
    await store.commit(made.key, changed(running(trial)))
    with pytest.raises(Conflict, match="run already"):
        await other.commit(made.key, assigning_again(1))


async def test_an_experiment_that_is_gone_is_not_found(made):
    store, _ = await begun(made, 0)
    await made.delete()
    for call in (store.commit(made.key, changed(status={"trials": 3})), store.refresh(made.key, 1)):
        with pytest.raises(NotFound):
            await call


async def test_an_experiment_made_in_the_place_of_another_is_another(made):
    store, _ = await begun(made, 0)
    await made.delete()
    await made.create()
    with pytest.raises(NotFound):
        await store.refresh(made.key, 1)
    with pytest.raises(Conflict):
        await store.commit(made.key, changed(status={"trials": 3}))
    assert "status" not in made.client.get(made.path(EXPERIMENTS))
    with pytest.raises(Conflict, match="just been changed"):
        await store.load(made.key)
    fresh = made.store()
    stored = await fresh.load(made.key)
    assert (stored.live, stored.unused, stored.suggestion.assigned) == ((), (), 0)


async def test_a_refusal_is_said_in_the_experiment_and_waited_for(made):
    store, (trial,) = await begun(made, 0)
    with pytest.raises(StoreUnavailable, match="observation"):
        await store.commit(made.key, changed(replace(ended(trial), observation=(Metric("acc", 5, "1", "1"),))))
    conditions = made.client.get(made.path(EXPERIMENTS))["status"]["conditions"]
    waiting = next(entry for entry in conditions if entry["type"] == "Waiting")
    assert waiting["reason"] == "Invalid"
    assert conditions[-1] != waiting
    await store.commit(made.key, changed(ended(trial), status=STATUS))
    assert made.client.get(made.path(EXPERIMENTS))["status"] == STATUS


class Shaky:
    """Requests of which a third fail, half of those after they were served."""

    def __init__(self, api, seed):
        self.request, self.dice = api.request, random.Random(seed)

    async def __call__(self, method, path, *rest):
        lot = self.dice.random() if method != "GET" else 1.0
        if lot < 0.15:
            raise Unreachable(0, "Unreachable", "it never came there")
        answer = await self.request(method, path, *rest)
        if lot < 0.3:
            raise Unreachable(0, "Unreachable", "its answer was lost")
        return answer


async def persistently(store, key, change):
    """Commit as an engine does: tried again as it is while the store is away."""
    while True:
        try:
            return await store.commit(key, change)
        except StoreUnavailable:
            continue


@pytest.mark.parametrize("seed", range(4))
async def test_a_commit_that_fails_half_way_any_number_of_times_happens_once(made, monkeypatch, seed):
    store = made.store()
    await store.load(made.key)
    monkeypatch.setattr(made.api, "request", Shaky(made.api, seed))
    change = assigning(0, 1, 2, 3)
    while change:
        try:
            await persistently(store, made.key, change)
            change = None
        except Conflict:
            stored = await store.load(made.key)
            left = [] if stored.suggestion.assigned else [0, 1, 2, 3]
            change = assigning(*left) if left else changed(*(TrialRecord(item, 1.0) for item in stored.unused))
    stored = await store.load(made.key)
    assert [trial.name for trial in stored.live] == [f"demo-{index}" for index in range(4)]
    await persistently(store, made.key, changed(*map(ended, stored.live), status={"trials": 4}))
    entries = made.suggestion()["status"]["suggestions"]
    assert [entry["name"] for entry in entries] == [f"demo-{index}" for index in range(4)]
    assert made.suggestion()["status"]["suggestionCount"] == 4
    assert {trial["status"]["completionTime"] for trial in made.trials()} == {"1970-01-01T00:00:20Z"}
    assert len(await store.finished(made.key, 0, 9)) == 4
