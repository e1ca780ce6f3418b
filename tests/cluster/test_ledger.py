"""The Suggestion object: what is appended to it, what leaves it, and when a writer has to look again."""

import json

import pytest
from support.cluster.stores import stores

from katib_py.backends.k8s.ledger import LISTED_BYTES, Ledger
from katib_py.backends.k8s.resources import SUGGESTIONS
from katib_py.controller.ports import Change, SuggestionRecord
from katib_py.core.errors import Conflict, StoreUnavailable
from katib_py.core.experiment import Experiment
from katib_py.core.trial import Assignment

NOW = 1_700_000_000.0


def assigning(first, count, size=1):
    names = [f"demo-{index:05}" for index in range(first, first + count)]
    items = [Assignment(name, index, (("lr", "1" * size),)) for index, name in enumerate(names, first)]
    return Change(items, first, SuggestionRecord(first + count, first + count))


@pytest.fixture
async def made(api_server, crds, namespace):
    async with stores(api_server, namespace) as found:
        found.experiment = Experiment.model_validate(await found.create())
        yield found


@pytest.fixture
def ledger(made):
    return Ledger(made.api, made.key)


async def write(made, ledger, change, unused=()):
    await ledger.write(made.experiment, change, unused, NOW)


def listed(made):
    return [entry["name"] for entry in made.suggestion()["status"]["suggestions"]]


async def test_the_first_write_makes_the_object_and_the_next_ones_append(made, ledger):
    await write(made, ledger, assigning(0, 2))
    await write(made, ledger, assigning(2, 1))
    assert listed(made) == ["demo-00000", "demo-00001", "demo-00002"]
    suggestion = made.suggestion()
    assert suggestion["status"]["suggestionCount"] == 3
    assert suggestion["metadata"]["ownerReferences"][0]["uid"] == made.experiment.metadata.uid
    assert [entry["type"] for entry in suggestion["status"]["conditions"]] == ["Created", "DeploymentReady", "Running"]


async def test_the_next_controller_reads_it_and_goes_on(made, ledger):
    await write(made, ledger, assigning(0, 3))
    again = Ledger(made.api, made.key)
    read = await again.load(made.experiment)
    assert (read.assigned, [item.index for item in read.listed]) == (3, [0, 1, 2])
    await write(made, again, assigning(3, 1))
    assert len(listed(made)) == made.suggestion()["status"]["suggestionCount"] == 4


async def test_the_slower_of_two_writers_has_to_look_again(made, ledger):
    await write(made, ledger, assigning(0, 1))
    other = Ledger(made.api, made.key)
    await other.load(made.experiment)
    await write(made, other, assigning(1, 1))
    for change in (assigning(1, 2), assigning(1, 1, size=7)):
        with pytest.raises(Conflict):
            await write(made, ledger, change)
    assert listed(made) == ["demo-00000", "demo-00001"]


async def test_two_first_writers_are_told_apart(made, ledger):
    other = Ledger(made.api, made.key)
    await write(made, other, assigning(0, 2))
    with pytest.raises(Conflict):
        await write(made, ledger, assigning(0, 1))
    assert len(listed(made)) == 2


async def test_the_oldest_leave_a_long_list_but_those_that_are_unused(made, ledger):
    await write(made, ledger, assigning(0, 100, size=500))
    await write(made, ledger, assigning(100, 10, size=500), unused={"demo-00004"})
    assert listed(made)[:2] == ["demo-00000", "demo-00001"]
    await write(made, ledger, assigning(110, 20, size=500), unused={"demo-00004"})
    assert listed(made)[0] == "demo-00004"
    await write(made, ledger, assigning(130, 1, size=500))
    entries = made.suggestion()["status"]["suggestions"]
    assert sum(len(json.dumps(entry)) for entry in entries) <= LISTED_BYTES
    assert entries[-1]["name"] == "demo-00130"
    assert made.suggestion()["status"]["suggestionCount"] == 131


async def test_assignments_that_are_no_trial_yet_stay_however_many_they_are(made, ledger):
    await write(made, ledger, assigning(0, 1))
    await write(made, ledger, assigning(1, 200, size=1000))
    assert listed(made) == [f"demo-{index:05}" for index in range(1, 201)]


async def test_a_write_that_is_tried_again_with_more_appends_the_rest(made, ledger):
    await write(made, ledger, assigning(0, 2))
    await write(made, ledger, assigning(0, 5))
    await write(made, ledger, assigning(0, 5))
    assert listed(made) == [f"demo-{index:05}" for index in range(5)]


async def test_an_object_of_katibs_without_a_count_counts_its_list(made, ledger):
    await write(made, ledger, assigning(0, 2))
    made.client.patch(made.path(SUGGESTIONS) + "/status", {"status": {"suggestionCount": None}})
    again = Ledger(made.api, made.key)
    assert (await again.load(made.experiment)).assigned == 2
    await write(made, again, assigning(2, 1))
    assert (len(listed(made)), made.suggestion()["status"]["suggestionCount"]) == (3, 3)


async def test_the_object_of_an_earlier_experiment_is_waited_for(made, ledger):
    await write(made, ledger, assigning(0, 2))
    later = made.experiment.model_copy(
        update={"metadata": made.experiment.metadata.model_copy(update={"uid": "another"})}
    )
    made.experiment = later
    again = Ledger(made.api, made.key)
    assert (await again.load(later)).assigned == 0
    with pytest.raises(StoreUnavailable, match="earlier experiment"):
        await write(made, again, assigning(0, 1))


async def test_a_late_write_does_not_reach_the_object_of_a_later_experiment(made, ledger):
    await write(made, ledger, assigning(0, 2))
    made.client.delete(made.path(SUGGESTIONS))
    await write(made, Ledger(made.api, made.key), assigning(0, 2))
    with pytest.raises(Conflict):
        await write(made, ledger, assigning(2, 1))
    assert len(listed(made)) == 2


async def test_an_object_that_was_deleted_is_a_conflict_and_then_made_anew_with_its_count(made, ledger):
    await write(made, ledger, assigning(0, 3))
    made.client.delete(made.path(SUGGESTIONS))
    with pytest.raises(Conflict, match="deleted"):
        await write(made, ledger, assigning(3, 1))
    again = Ledger(made.api, made.key)
    await again.load(made.experiment)
    assert again.count_at_least(3) == 3
    await write(made, again, assigning(3, 1))
    await write(made, again, assigning(4, 1))
    assert listed(made) == ["demo-00003", "demo-00004"]
    read = await Ledger(made.api, made.key).load(made.experiment)
    assert (read.assigned, [item.index for item in read.listed]) == (5, [3, 4])


async def test_the_end_of_a_search_settles_the_object(made, ledger):
    change = assigning(0, 2)
    await write(made, ledger, change)
    record = SuggestionRecord(7, 2)
    await ledger.settle(made.experiment, record, True, NOW)
    suggestion = made.suggestion()
    assert suggestion["spec"]["requests"] == 7
    assert suggestion["status"]["conditions"][-1]["type"] == "Succeeded"
    assert len(listed(made)) == 2


async def test_why_a_service_refuses_is_read_back_as_it_was_said(made, ledger):
    await write(made, ledger, Change(suggestion=SuggestionRecord(1, 0, failed="no such setting")))
    (last,) = made.suggestion()["status"]["conditions"][-1:]
    assert (last["type"], last["message"]) == ("Failed", "Validation failed: no such setting")
    assert (await Ledger(made.api, made.key).load(made.experiment)).failed == "no such setting"
