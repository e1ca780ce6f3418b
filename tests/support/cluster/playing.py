"""Playing a namespace's programs while a test looks."""

import asyncio

from support.cluster.played import PlayedJobs


async def played(api_server, namespace, act, look):
    """What `look` returns, the namespace's Jobs being played meanwhile."""
    async with PlayedJobs(api_server.kubeconfig, act=act, namespace=namespace) as jobs:
        looking = asyncio.ensure_future(asyncio.to_thread(look))
        failing = asyncio.ensure_future(jobs.problem())
        await asyncio.wait({looking, failing}, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        return await looking
