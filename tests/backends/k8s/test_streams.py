"""Some logs are followed, the others looked at in turns."""

import asyncio
from contextlib import AsyncExitStack

from katib_py.backends.k8s.streams import LOOKS, RESERVED, Streams


async def test_a_log_is_followed_while_there_is_a_stream_and_else_looked_at():
    streams = Streams(most=1)
    async with streams.place() as first, streams.place() as second:
        assert (first, second) == (True, False)
    async with streams.place() as again:
        assert again


async def test_a_run_that_is_being_ended_has_a_stream_of_the_reserve():
    streams = Streams(most=0)
    async with AsyncExitStack() as stack:
        places = [await stack.enter_async_context(streams.place(last=True)) for _ in range(RESERVED + 1)]
    assert places == [True] * RESERVED + [False]


async def test_a_few_are_looked_at_at_a_time():
    streams, looking = Streams(most=0), []

    async def look():
        async with streams.place() as followed:
            assert not followed
            looking.append(1)
            await asyncio.sleep(0)
            assert len(looking) <= LOOKS
            looking.pop()

    await asyncio.gather(*(look() for _ in range(3 * LOOKS)))
