"""What the command line does to the store."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from katib_py.backends.local.catalog import Applied, Catalog
from katib_py.backends.local.events import EVENTS_KEPT
from katib_py.backends.local.observations import SqlObservations
from katib_py.backends.local.store import SqlStore
from katib_py.controller.ports import Change, Event, EventType, Key, SuggestionRecord
from katib_py.core.errors import NotFound
from katib_py.core.objective import Measurement
from katib_py.core.trial import Assignment, TrialRecord, TrialState, trial_uid

pytestmark = pytest.mark.every_database

KEY = Key("team-a", "demo")


@pytest.fixture
def catalog(house) -> Catalog:
    return Catalog(house.database)


@pytest.fixture
async def filled(house, catalog):
    """An experiment with ten trials, of which the odd ones have succeeded, and two assignments more."""
    stored, _ = catalog.apply(house.experiment(), 1.0)
    trials = [TrialRecord(Assignment(f"demo-{number}", number, ()), 1.0) for number in range(12)]
    change = Change([trial.assignment for trial in trials], 0, SuggestionRecord(12, 12))
    change.trials = {trial.name: trial for trial in trials[:10]}
    store = SqlStore(house.database)
    await store.commit(KEY, change)
    done = [TrialRecord(trial.assignment, 1.0, TrialState.SUCCEEDED) for trial in trials[1:10:2]]
    await store.commit(KEY, Change(trials={trial.name: trial for trial in done}))
    return stored


def test_an_experiment_is_created_once_and_keeps_its_uid(house, catalog):
    first, did = catalog.apply(house.experiment(), 1.0)
    assert did is Applied.CREATED
    assert first.metadata.uid
    second, did = catalog.apply(house.experiment(), 2.0)
    assert did is Applied.UNCHANGED
    assert second == first == catalog.get(KEY)


async def test_an_edit_changes_the_spec_and_nothing_else(house, catalog):
    first, _ = catalog.apply(house.experiment(), 1.0)
    await SqlStore(house.database).commit(KEY, Change(status={"trials": 3}))
    edited, did = catalog.apply(house.experiment(maxTrialCount=7), 2.0)
    assert did is Applied.CHANGED
    assert edited.spec.max_trial_count == 7
    assert (edited.metadata.uid, edited.status) == (first.metadata.uid, {"trials": 3})


async def test_suspending_is_news_to_the_engine_once(house, catalog):
    catalog.apply(house.experiment(), 1.0)
    store = SqlStore(house.database)
    generation = (await store.load(KEY)).generation
    assert catalog.suspend(KEY, True).spec.suspend
    assert catalog.suspend(KEY, True).spec.suspend
    stored = await store.refresh(KEY, generation)
    assert stored.experiment.spec.suspend
    assert stored.generation == generation + 1


def test_experiments_are_listed_by_namespace(house, catalog):
    catalog.apply(house.experiment(), 1.0)
    assert [found.name for found in catalog.experiments()] == ["demo"]
    assert [found.name for found in catalog.experiments("team-a")] == ["demo"]
    assert catalog.experiments("team-b") == []


async def test_trials_are_paged_by_number_and_chosen_by_state(catalog, filled):
    assert [trial.name for trial in catalog.trials(KEY, limit=3)] == ["demo-0", "demo-1", "demo-2"]
    assert [trial.name for trial in catalog.trials(KEY, after=7)] == ["demo-8", "demo-9"]
    done = catalog.trials(KEY, states=[TrialState.SUCCEEDED])
    assert [trial.name for trial in done] == [f"demo-{number}" for number in (1, 3, 5, 7, 9)]


async def test_a_trial_is_found_by_its_name_alone(catalog, filled):
    assert catalog.trial("team-a", "demo-3")[0] == KEY
    for namespace, name in (("team-b", "demo-3"), ("team-a", "demo-11")):
        with pytest.raises(NotFound, match=name):
            catalog.trial(namespace, name)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (Key("team-a", "dmo"), "did you mean demo?"),
        (Key("team-b", "demo"), "but in team-a: add -n team-a"),
        (Key("team-a", "demo-3"), "demo-3 is a trial of experiment demo"),
        (Key("team-a", "other"), "katib-py get experiments -n team-a"),
    ],
)
async def test_of_an_experiment_that_is_not_there_the_nearest_name_is_said(catalog, filled, key, words):
    with pytest.raises(NotFound) as caught:
        catalog.get(key)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("demo3", "did you mean demo-3?"),
        ("dem-3", "did you mean demo-3?"),
        ("demo", "to see those of experiment demo: katib-py get trials demo -n team-a"),
        ("other", "katib-py get trials -n team-a"),
        ("", "katib-py get trials -n team-a"),
    ],
)
async def test_of_a_trial_that_is_not_there_the_nearest_name_is_said(catalog, filled, name, words):
    with pytest.raises(NotFound) as caught:
        catalog.trial("team-a", name)
    assert words in str(caught.value)


async def test_a_suggestion_is_its_record_and_the_unused(catalog, filled):
    record, unused = catalog.suggestion(KEY)
    assert record.assigned == 12
    assert [assignment.name for assignment in unused] == ["demo-10", "demo-11"]


async def test_a_repeated_event_is_counted(house, catalog):
    catalog.apply(house.experiment(), 1.0)
    store = SqlStore(house.database)
    for time in (1.0, 2.0, 5.0):
        await store.commit(KEY, Change(events=[Event("Trial", "demo-0", EventType.WARNING, "Odd", "why", time)]))
    (seen,) = catalog.events(KEY)
    assert (seen.first, seen.event.time, seen.times) == (1.0, 5.0, 3)


async def test_of_one_object_the_newest_events_are_kept(house, catalog):
    catalog.apply(house.experiment(), 1.0)
    events = [Event("Trial", "demo-0", EventType.NORMAL, "Step", str(time), float(time)) for time in range(300)]
    await SqlStore(house.database).commit(KEY, Change(events=events))
    kept = [float(seen.event.message) for seen in catalog.events(KEY)]
    assert kept == list(range(300 - EVENTS_KEPT, 300))


async def test_deleting_takes_everything_along_and_a_new_one_starts_afresh(house, catalog, filled):
    log, uid = SqlObservations(house.database, "team-a"), trial_uid(filled.metadata.uid, "demo-1")
    order = house.order(house.shell(""), "demo-1")
    object.__setattr__(order, "trial_uid", uid)
    await log.append([(order, [Measurement("loss", "1", datetime(2026, 1, 1, tzinfo=UTC), 1)])])
    assert len(catalog.delete(KEY)) == 12
    assert await log.read([(uid, 1)]) == [[]]
    with pytest.raises(NotFound):
        catalog.get(KEY)
    fresh, did = catalog.apply(house.experiment(), 3.0)
    assert did is Applied.CREATED
    assert fresh.metadata.uid != filled.metadata.uid
    assert catalog.trials(KEY) == []


async def test_an_engine_learns_that_its_experiment_was_deleted_and_made_anew(house, catalog):
    catalog.apply(house.experiment(), 1.0)
    store = SqlStore(house.database)
    await store.load(KEY)
    catalog.delete(KEY)
    catalog.apply(house.experiment(), 2.0)
    for call in (store.refresh(KEY, 1), store.commit(KEY, Change(status={"trials": 1}))):
        with pytest.raises(NotFound):
            await call
