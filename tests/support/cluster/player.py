"""Who plays a controller: watches objects, lets an act happen to each, and says at its end what went wrong."""

import asyncio

from support.cluster.async_client import AsyncClient
from support.cluster.client import Refused


class Player:
    """An act is a coroutine of the player and the object; a subclass's `_watch` keeps the tasks in `_acts`, by uid."""

    def __init__(self, kubeconfig, act):
        self.client = AsyncClient(kubeconfig)
        self._act = act
        self._acts, self._problems = {}, []

    async def __aenter__(self):
        await self.client.__aenter__()
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *problem):
        tasks = [self._watching, *self._acts.values()]
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.__aexit__()
        problems = [*self._problems, *(end for end in ended if isinstance(end, Exception) and not deleted(end))]
        if problem[0] is None and problems:
            raise problems[0]


def deleted(problem):
    """Whether the object was deleted meanwhile: who is deleted is acted upon no more."""
    return isinstance(problem, Refused) and problem.code in (404, 409)
