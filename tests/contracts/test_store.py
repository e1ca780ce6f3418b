"""What every store promises the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from random import Random

import pytest
from support.cluster.stores import stores

from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.resources import EXPERIMENTS, SUGGESTIONS, TRIALS
from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.store import SqlStore
from katib_py.backends.simulated.store import MemoryStore
from katib_py.controller.ports import Change, Event, EventType, Key, Store, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric
from katib_py.core.trial import CONDITION_TEXTS, Assignment, StopIntent, StopKind, TrialRecord, TrialState, Waiting

KEY = Key("team-a", "demo")


@dataclass
class World:
    """A store and, of the platform that it belongs to, what a user can do to an experiment.

    `kept` is what it keeps of a trial.
    """

    store: Store
    put: Callable[[Experiment], Awaitable[None]]
    reopen: Callable[[], Store]
    kept: Callable[[TrialRecord], TrialRecord] = lambda trial: trial


def experiment(maximum: int = 10) -> Experiment:
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": "0b8f6f3e-8a0e-4a59-9a0e-0a4a7d7c1b11"}
    return Experiment.model_validate({"metadata": metadata, "spec": {"maxTrialCount": maximum}})


@asynccontextmanager
async def memory(_) -> AsyncIterator[World]:
    store = MemoryStore()

    async def put(given: Experiment) -> None:
        store.put(given)

    yield World(store, put, lambda: store)


@asynccontextmanager
async def sql(request) -> AsyncIterator[World]:
    database = Database(request.getfixturevalue("new_database")(request.param))
    catalog = Catalog(database)

    async def put(given: Experiment) -> None:
        catalog.apply(given, 1.0)

    yield World(SqlStore(database), put, lambda: SqlStore(database))
    database.close()


@asynccontextmanager
async def kubernetes(request) -> AsyncIterator[World]:
    server = request.getfixturevalue("api_server")
    request.getfixturevalue("crds")
    server.namespace(KEY.namespace)
    kind = "TrainJob" if request.param.endswith("TrainJob") else "Job"
    async with stores(server, KEY.namespace, kind=kind) as made:
        world = World(made.store(), None, made.store, as_kubernetes_keeps_it)

        async def put(given: Experiment) -> None:
            if made.seen.get(Name(*KEY)) is not None:
                await made.edit(maxTrialCount=given.spec.max_trial_count)
                return
            await made.create(maxTrialCount=given.spec.max_trial_count)
            world.store = made.store()

        world.put = put
        yield world
        for resource in (EXPERIMENTS, SUGGESTIONS, TRIALS):
            server.client.delete(resource.path(KEY.namespace))


def as_kubernetes_keeps_it(trial: TrialRecord) -> TrialRecord:
    """Times in seconds, and Katib's words where there are none; the API server gives uids and times of creation."""
    if trial.state.finished and not trial.reason:
        reason, message = CONDITION_TEXTS[trial.state]
        trial = replace(trial, reason=reason, message=message)
    started, completed = (None if time is None else float(int(time)) for time in (trial.started, trial.completed))
    return replace(trial, created=0.0, started=started, completed=completed, uid="")


# Trials of TrainJobs are found by their experiment's name only once something is to be told of them.
WORLDS = {
    "sqlite": sql,
    "postgresql": sql,
    "memory": memory,
    "kubernetes": kubernetes,
    "kubernetes of TrainJob": kubernetes,
}


@pytest.fixture(params=[*WORLDS])
async def world(request) -> AsyncIterator[World]:
    async with WORLDS[request.param](request) as made:
        yield made


@pytest.fixture
async def store(world) -> Store:
    await world.put(experiment())
    await world.store.load(KEY)
    return world.store


def same(world: World, found: Iterable[TrialRecord], *expected: TrialRecord) -> bool:
    return [world.kept(trial) for trial in found] == [world.kept(trial) for trial in expected]


def assignment(index: int) -> Assignment:
    return Assignment(f"demo-{index}", index, (("lr", "0.10"), ("layers", str(index))), (("bracket", "1"),))


def assigning(*indices: int, before: int = 0) -> Change:
    total = before + len(indices)
    record = SuggestionRecord(total, total, settings=(("state", "x"),))
    return Change([assignment(index) for index in indices], before, record)


def changed(*trials: TrialRecord) -> Change:
    return Change(trials={trial.name: trial for trial in trials})


def done(index: int) -> TrialRecord:
    metrics = (Metric("loss", "0.1", "nan", "unavailable"),)
    return TrialRecord(assignment(index), 1.5, TrialState.SUCCEEDED, completed=2.25, observation=metrics)


async def test_what_was_assigned_is_unused_until_it_is_a_trial(world, store):
    await store.commit(KEY, assigning(0, 1))
    await store.commit(KEY, changed(TrialRecord(assignment(0), 5.0)))
    stored = await store.load(KEY)
    assert stored.unused == (assignment(1),)
    assert same(world, stored.live, TrialRecord(assignment(0), 5.0))
    assert stored.suggestion == SuggestionRecord(2, 2, settings=(("state", "x"),))


async def test_an_assignment_and_its_trial_may_come_in_one_change(world, store):
    change = assigning(0, 1)
    change.trials["demo-1"] = TrialRecord(assignment(1), 5.0)
    await store.commit(KEY, change)
    stored = await store.load(KEY)
    assert stored.unused == (assignment(0),)
    assert same(world, stored.live, TrialRecord(assignment(1), 5.0))


async def test_a_live_trial_reads_back_whole(world, store):
    trial = TrialRecord(
        assignment(0),
        1.25,
        TrialState.RUNNING,
        attempt=3,
        retries=1,
        disruptions=1,
        started=2.5,
        stop=StopIntent(StopKind.SUSPENDED, "interrupted"),
        waiting=Waiting("WaitingForGPU", "none is free", 3.0),
    )
    await store.commit(KEY, assigning(0))
    await store.commit(KEY, changed(trial))
    assert same(world, (await store.load(KEY)).live, trial)


async def test_the_slower_of_two_writers_changes_nothing(store):
    await store.commit(KEY, assigning(0, 1))
    before = await store.load(KEY)
    late = assigning(2, before=0)
    late.trials["demo-0"] = done(0)
    late.status = {"trials": 9}
    with pytest.raises(Conflict):
        await store.commit(KEY, late)
    assert await store.load(KEY) == before
    assert len(before.unused) == before.suggestion.assigned == 2
    assert await store.finished(KEY, 0, 10) == []


async def test_finished_trials_are_read_in_the_order_of_finishing(world, store):
    await store.commit(KEY, assigning(0, 1, 2, 3))
    await store.commit(KEY, changed(done(2)))
    await store.commit(KEY, changed(done(3), done(0)))
    await store.commit(KEY, changed(done(1)))
    assert [trial.name for trial in await store.finished(KEY, 0, 10)] == ["demo-2", "demo-3", "demo-0", "demo-1"]
    assert same(world, await store.finished(KEY, 1, 2), done(3), done(0))
    assert await store.finished(KEY, 4, 10) == []


async def test_another_experiment_sees_the_newest_finished_trials(world, store):
    await store.commit(KEY, assigning(0, 1, 2, 3))
    await store.commit(KEY, changed(done(0), done(1), done(2), TrialRecord(assignment(3), 5.0)))
    found = await world.reopen().prior(KEY, 2)
    assert found.experiment.name == KEY.name
    assert same(world, found.finished, done(1), done(2))
    with pytest.raises(NotFound):
        await store.prior(Key(KEY.namespace, "nobody"), 2)


async def test_a_finished_trial_is_live_no_longer(store):
    await store.commit(KEY, assigning(0, 1))
    await store.commit(KEY, changed(TrialRecord(assignment(0), 1.0), TrialRecord(assignment(1), 1.0)))
    await store.commit(KEY, changed(done(0)))
    assert [trial.name for trial in (await store.load(KEY)).live] == ["demo-1"]


async def test_everything_is_there_for_the_next_engine(world, store):
    await store.commit(KEY, assigning(0, 1, 2))
    await store.commit(KEY, changed(done(0), TrialRecord(assignment(1), 1.0)))
    again = world.reopen()
    assert await again.load(KEY) == await store.load(KEY)
    assert same(world, await again.finished(KEY, 0, 10), done(0))
    (live,) = (await again.load(KEY)).live
    await again.commit(KEY, changed(replace(done(1), uid=live.uid)))
    await store.load(KEY)
    assert same(world, await store.finished(KEY, 1, 10), done(1))


async def test_the_end_of_a_search_is_remembered(store):
    record = SuggestionRecord(3, 0, ended=True, failed="no such algorithm")
    await store.commit(KEY, Change(suggestion=record))
    assert (await store.load(KEY)).suggestion == record


async def test_a_status_is_part_of_the_experiment(store):
    await store.commit(KEY, Change(status={"trials": 1, "conditions": [{"type": "Running", "status": "True"}]}))
    status = (await store.load(KEY)).experiment.status
    assert status == {"trials": 1, "conditions": [{"type": "Running", "status": "True"}]}


async def test_only_a_change_of_the_spec_by_somebody_else_is_news(world, store):
    stored = await store.load(KEY)
    await store.commit(KEY, Change(status={"trials": 1}))
    assert await store.refresh(KEY, stored.generation) is None
    await world.put(experiment(maximum=20))
    fresh = await store.refresh(KEY, stored.generation)
    assert fresh.experiment.spec.max_trial_count == 20
    assert fresh.experiment.status == {"trials": 1}
    assert await store.refresh(KEY, fresh.generation) is None


async def test_what_is_not_there_is_not_found(world):
    for call in (
        world.store.load(KEY),
        world.store.finished(KEY, 0, 1),
        world.store.commit(KEY, Change(status={})),
        world.store.refresh(KEY, 1),
    ):
        with pytest.raises(NotFound):
            await call


@pytest.mark.parametrize("first", ["ünusual", "\0", "\ud800", "漢"])
async def test_events_are_taken_with_whatever_text(store, first):
    # Text that cannot be compressed: its length counts in full.
    message = first + "".join(map(chr, Random(1).choices(range(0x4E00, 0x9FA5), k=2000)))
    await store.commit(KEY, Change(events=[Event("Trial", "demo-0", EventType.WARNING, "Odd", message, 1.0)]))
