"""What every store promises the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import pytest

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.store import SqlStore
from katib_py.backends.simulated.store import MemoryStore
from katib_py.controller.ports import Change, Event, EventType, Key, Store, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Metric
from katib_py.core.trial import Assignment, StopIntent, StopKind, TrialRecord, TrialState, Waiting

KEY = Key("team-a", "demo")


@dataclass
class World:
    """A store and, of the platform that it belongs to, what a user can do to an experiment."""

    store: Store
    put: Callable[[Experiment], None]
    reopen: Callable[[], Store]


def experiment(maximum: int = 10) -> Experiment:
    metadata = {"name": KEY.name, "namespace": KEY.namespace, "uid": "0b8f6f3e-8a0e-4a59-9a0e-0a4a7d7c1b11"}
    return Experiment.model_validate({"metadata": metadata, "spec": {"maxTrialCount": maximum}})


@pytest.fixture(params=["sqlite", "postgresql", "memory"])
def world(request, new_database):
    if request.param == "memory":
        memory = MemoryStore()
        yield World(memory, memory.put, lambda: memory)
        return
    database = Database(new_database(request.param))
    catalog = Catalog(database)
    yield World(SqlStore(database), lambda given: catalog.apply(given, 1.0), lambda: SqlStore(database))
    database.close()


@pytest.fixture
def store(world) -> Store:
    world.put(experiment())
    return world.store


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


async def test_what_was_assigned_is_unused_until_it_is_a_trial(store):
    await store.commit(KEY, assigning(0, 1))
    await store.commit(KEY, changed(TrialRecord(assignment(0), 5.0)))
    stored = await store.load(KEY)
    assert stored.unused == (assignment(1),)
    assert stored.live == (TrialRecord(assignment(0), 5.0),)
    assert stored.suggestion == SuggestionRecord(2, 2, settings=(("state", "x"),))


async def test_an_assignment_and_its_trial_may_come_in_one_change(store):
    change = assigning(0, 1)
    change.trials["demo-1"] = TrialRecord(assignment(1), 5.0)
    await store.commit(KEY, change)
    stored = await store.load(KEY)
    assert (stored.unused, stored.live) == ((assignment(0),), (TrialRecord(assignment(1), 5.0),))


async def test_a_live_trial_reads_back_whole(store):
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
    assert (await store.load(KEY)).live == (trial,)


async def test_the_slower_of_two_writers_changes_nothing(store):
    await store.commit(KEY, assigning(0, 1))
    late = assigning(2, before=0)
    late.trials["demo-0"] = done(0)
    late.status = {"trials": 9}
    with pytest.raises(Conflict):
        await store.commit(KEY, late)
    stored = await store.load(KEY)
    assert len(stored.unused) == 2
    assert stored.suggestion.assigned == 2
    assert stored.experiment.status == {}
    assert await store.finished(KEY, 0, 10) == []


async def test_finished_trials_are_read_in_the_order_of_finishing(store):
    await store.commit(KEY, assigning(0, 1, 2, 3))
    await store.commit(KEY, changed(done(2)))
    await store.commit(KEY, changed(done(3), done(0)))
    await store.commit(KEY, changed(done(1)))
    assert [trial.name for trial in await store.finished(KEY, 0, 10)] == ["demo-2", "demo-3", "demo-0", "demo-1"]
    assert await store.finished(KEY, 1, 2) == [done(3), done(0)]
    assert await store.finished(KEY, 4, 10) == []


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
    assert await again.finished(KEY, 0, 10) == [done(0)]
    await again.commit(KEY, changed(done(1)))
    assert await store.finished(KEY, 1, 10) == [done(1)]


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
    world.put(experiment(maximum=20))
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
