"""The controller process: it watches the cluster and drives every Experiment."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from katib_py.backends.k8s.acting import Post, act
from katib_py.backends.k8s.admission import Admission
from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.certificates import Certificates
from katib_py.backends.k8s.configuration import Configuration
from katib_py.backends.k8s.endpoints import Endpoint, health_app, metrics_app, parse_address
from katib_py.backends.k8s.leadership import Leadership
from katib_py.backends.k8s.metrics import Metrics
from katib_py.backends.k8s.observations import PATIENCE_SECONDS, RemoteLogs
from katib_py.backends.k8s.services import Services
from katib_py.backends.k8s.session import DbManagerAddress
from katib_py.backends.k8s.suggesters import RemoteSuggesters, Timed
from katib_py.backends.local.db_manager import DbManager
from katib_py.backends.local.home import Home
from katib_py.backends.local.suggesters import LocalSuggesters
from katib_py.controller.ports import Suggesters
from katib_py.core.tokens import controller_token
from katib_py.observations.remote import RemoteLog


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says.

    `namespace` "" is the whole cluster. With `lease` (namespace, name) only the controller that holds it acts. Without
    `suggestion` and `db_manager` (addresses) the services are processes of this machine, as for development outside
    the cluster; `db` is the database that is opened then. `core_namespace` is where katib-config is. `serves`: answer
    the kubelet and Prometheus. `token_key` is the db-manager's, if trials need tokens to report. `hand_back`: let what
    runs come to its end, and leave all to Katib's own controllers.
    """

    kubeconfig: str | None = None
    namespace: str = ""
    suggestion: str = ""
    db_manager: str = ""
    db: str | None = None
    config: Configuration = field(default_factory=lambda: Configuration.of_file(None))
    core_namespace: str = "kubeflow"
    metrics: Metrics = field(default_factory=Metrics)
    lease: tuple[str, str] | None = None
    serves: bool = False
    token_key: str = ""
    hand_back: bool = False


async def run(options: Options) -> None:
    """Drive the cluster's experiments until SIGTERM or SIGINT; trials go on without us. Raises InvalidInput."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        api = await Api.connect(options.kubeconfig)
        api.observe = options.metrics.requested
        stack.push_async_callback(api.close)
        address = await _db_manager(options, stack)
        services = _services(options, api, address)
        stack.push_async_callback(services.close)
        certificates = await _serve(options, services, address, stack)
        log = RemoteLog(
            address.text, controller_token(options.token_key) if options.token_key else "", PATIENCE_SECONDS
        )
        stack.push_async_callback(log.close)
        logs = RemoteLogs(log, options.namespace)
        post = Post(api, options.namespace, services, logs, address, options.metrics, certificates, options.hand_back)
        works = [stopping.wait(), options.config.informer(api, options.core_namespace).run(), _lead(options, post)]
        tasks = [asyncio.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(
    options: Options, services: Services, address: DbManagerAddress, stack: AsyncExitStack
) -> Certificates | None:
    """Answer Prometheus, the kubelet and the API server, where katib-config says."""
    if not options.serves:
        return None
    set_up = options.config.current.init.controller
    certificates, webhooks = None, None
    if set_up.webhook_port:
        inside = options.kubeconfig is None
        admission = Admission(services, options.core_namespace, address.env(), inside)
        certificates = admission.certificates(services.api)
        webhooks = await stack.enter_async_context(admission.serving(services.api, certificates))

    def missing() -> str:
        return "" if webhooks is None or webhooks.serving else "the webhooks have no certificate yet"

    for app, text, name in (
        (metrics_app(options.metrics.text), set_up.metrics_addr, "metricsAddr"),
        (health_app(missing), set_up.healthz_addr, "healthzAddr"),
    ):
        where = parse_address(text, f"init.controller.{name}")
        if where is not None:
            await stack.enter_async_context(Endpoint(app, where))
    return certificates


async def _lead(options: Options, post: Post) -> None:
    """Act whenever we lead; never returns."""
    if options.lease is None:
        await act(post)
        return
    leadership = Leadership(post.api, *options.lease, f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}")
    try:
        while True:
            await leadership.acquired()
            await _act_while_leading(post.fenced(leadership.fence), leadership)
    finally:
        await leadership.release()


async def _act_while_leading(post: Post, leadership: Leadership) -> None:
    acting, losing = asyncio.create_task(act(post)), asyncio.create_task(leadership.lost())
    try:
        done, _ = await asyncio.wait({acting, losing}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        # The lease is held until all has been let go of.
        for task in (acting, losing):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _services(options: Options, api: Api, address: DbManagerAddress) -> Services:
    called = options.metrics.called
    return Services(api, _suggesters(options), lambda: options.config.current, address.text, called)


def _suggesters(options: Options) -> Suggesters:
    called = options.metrics.called
    if options.suggestion:
        return RemoteSuggesters(options.suggestion, called)
    return LocalSuggesters(Home.find(options.db), [Timed(called)])


LOOPBACK: Final = "127.0.0.1"


async def _db_manager(options: Options, stack: AsyncExitStack) -> DbManagerAddress:
    if options.db_manager:
        host, _, port = options.db_manager.rpartition(":")
        name, _, namespace = host.partition(".")
        return DbManagerAddress(name, namespace, port, options.token_key)
    manager = DbManager(Home.find(options.db))
    _, number = await manager.start()
    stack.push_async_callback(manager.close)
    return DbManagerAddress(LOOPBACK, "", str(number))


def main(options: Options) -> None:
    """Run the controller until it is told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(options))
