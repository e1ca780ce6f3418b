"""What a controller does while it leads: every experiment of the cluster is driven, and what is left behind swept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.certificates import Certificates
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.event_writer import EventWriter
from katib_py.backends.k8s.fence import Fence
from katib_py.backends.k8s.hand_back import HandBack
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.metrics import Current, Metrics
from katib_py.backends.k8s.observations import RemoteLogs
from katib_py.backends.k8s.services import Services
from katib_py.backends.k8s.session import DbManagerAddress, Plant
from katib_py.backends.k8s.supervisor import Supervisor, informer
from katib_py.backends.k8s.sweeper import LogSweeper, Sweeper
from katib_py.backends.k8s.takeover import Takeover
from katib_py.backends.k8s.trials import Trials

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Post:
    """What acting takes. `namespace` "" is the whole cluster; the certificates are those of webhooks, if any.

    `hand_back`: start nothing new, and leave every experiment as Katib's controllers go on from it.
    """

    api: Api
    namespace: str
    services: Services
    logs: RemoteLogs
    db_manager: DbManagerAddress
    metrics: Metrics
    certificates: Certificates | None
    hand_back: bool = False

    def fenced(self, fence: Fence) -> Post:
        """The same, whose requests are refused here while the fence is shut."""
        api = self.api.fenced(fence)
        return replace(self, api=api, services=self.services.with_api(api))


async def act(post: Post) -> None:
    """Drive every experiment; never returns."""
    metrics = post.metrics
    async with AsyncExitStack() as stack:
        takeover = Takeover(post.api, post.logs)
        stack.push_async_callback(takeover.close)
        drives = Supervisor(post.api, lambda name: metrics.experiment(name.namespace, "deleted"))
        seen = informer(post.api, post.namespace, drives, takeover.look)

        def gone(name: Name) -> None:
            metrics.trial(name.namespace, "deleted")

        trials = Trials(post.api, post.namespace, drives.disturb, gone, takeover.look)
        stack.enter_context(metrics.showing(Current(seen, trials)))
        cluster = await stack.enter_async_context(_cluster(post))
        events = EventWriter(post.api)
        shared = (post.services, post.logs, post.db_manager, metrics, takeover, post.hand_back)
        plant = Plant(post.api, cluster, seen, events, *shared)
        works = [
            seen.run(),
            trials.run(),
            events.run(),
            Sweeper(cluster, trials).run(),
            LogSweeper(post.logs, trials).run(),
        ]
        if post.certificates is not None:
            works.append(post.certificates.keep())
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
            stack.push_async_callback(drives.close)
            await seen.ready()
            await trials.ready()
            drives.begin(plant)
            log.info("driving the experiments of %s", post.namespace or "every namespace")
            if post.hand_back:
                group.create_task(HandBack(cluster, seen, drives.rests).run())


@asynccontextmanager
async def _cluster(post: Post) -> AsyncIterator[Cluster]:
    cluster = Cluster(post.api, post.namespace)
    try:
        yield cluster
    finally:
        await cluster.close()
