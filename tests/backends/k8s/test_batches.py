"""Small pieces of work are done together."""

import asyncio

import pytest

from katib_py.backends.k8s.batches import Batches


class Works:
    """Notes its batches; takes a moment for each."""

    def __init__(self):
        self.done, self.begun = [], asyncio.Event()

    async def __call__(self, items):
        self.begun.set()
        await asyncio.sleep(0)
        if "bad" in items:
            raise ValueError("bad")
        self.done.append(list(items))


async def test_what_comes_in_while_a_batch_is_under_way_is_done_together_next():
    batches = Batches(works := Works())
    first = asyncio.create_task(batches.add("a"))
    await works.begun.wait()
    await asyncio.gather(first, *(batches.add(item) for item in "bcd"))
    await batches.add("e")
    assert works.done == [["a"], ["b", "c", "d"], ["e"]]


async def test_an_error_is_raised_for_all_of_its_batch_and_for_no_other():
    batches = Batches(works := Works())
    results = await asyncio.gather(batches.add("a"), batches.add("bad"), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError, ValueError]
    with pytest.raises(ValueError, match="bad"):
        await batches.add("bad")
    await batches.add("b")
    assert works.done == [["b"]]


async def test_who_gives_up_waiting_does_not_end_the_work_of_others():
    batches = Batches(works := Works())
    waiting = [asyncio.create_task(batches.add(item)) for item in "ab"]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert works.done == [["a", "b"]]
