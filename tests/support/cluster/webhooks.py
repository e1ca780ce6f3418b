"""The webhooks of one replica of a controller, beside a test: on a loop and a thread of their own."""

import asyncio
import base64
import socket
import ssl
import threading

from support.cluster.experiments import experiment
from support.cluster.kinds import path_of
from support.shell import wait_for

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.certificates import Certificates, Place
from katib_py.backends.k8s.kinds import Kinds
from katib_py.backends.k8s.pki import TERMS
from katib_py.backends.k8s.webhooks.configurations import webhook_configurations
from katib_py.backends.k8s.webhooks.experiments import ExperimentWebhook
from katib_py.backends.k8s.webhooks.pods import PodWebhook, trial_env
from katib_py.backends.k8s.webhooks.server import WebhookServer, webhook_app
from katib_py.collectors.filters import filter_problem
from katib_py.core.early_stopping import STOPPERS
from katib_py.core.katib_config import KatibConfig
from katib_py.core.validate import Checks

IMAGE = "registry.example/katib-py:1"
DB_MANAGER = {
    "KATIB_DB_MANAGER_SERVICE_IP": "katib-db-manager",
    "KATIB_DB_MANAGER_SERVICE_NAMESPACE": "kubeflow",
    "KATIB_DB_MANAGER_SERVICE_PORT": "6789",
}
CHECKS = Checks(filter_problem, algorithms={"random", "tpe"}, early_stopping=STOPPERS, in_pods=True)
PLACE = Place("kubeflow", "katib-webhook-cert", ("localhost", "127.0.0.1"))
CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1"
KINDS = ("validatingwebhookconfigurations", "mutatingwebhookconfigurations")


class Replica:
    """Answers on a free port while it is entered; one that leads keeps the certificates too."""

    def __init__(self, kubeconfig, leads=True, terms=TERMS, every=0.2, config=KatibConfig, place=PLACE):
        self._kubeconfig = str(kubeconfig)
        self._leads = leads
        self._terms = terms
        self._every = every
        self._config = config
        self._place = place
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._server = None
        self._problem = None

    @property
    def url(self):
        return "https://127.0.0.1:{1}".format(*self._server.address)

    def __enter__(self):
        self._thread.start()
        wait_for(lambda: self._problem or (self._server and (self._server.serving or not self._leads)))
        if self._problem:
            raise self._problem
        return self

    def __exit__(self, *problem):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def serving(self):
        return self._server.serving

    def certificate(self):
        """What it shows to whoever connects now."""
        return ssl.get_server_certificate(self._server.address).strip()

    def shake_hands(self, bundle):
        """Connect anew, as an API server does that trusts this caBundle; raises ssl.SSLError where it would refuse."""
        trust = ssl.create_default_context(cadata=base64.b64decode(bundle).decode())
        with (
            socket.create_connection(self._server.address) as plain,
            trust.wrap_socket(plain, server_hostname="localhost"),
        ):
            pass

    async def _run(self):
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        api = await Api.connect(self._kubeconfig)
        try:
            await self._serve(api)
        except Exception as problem:
            self._problem = problem
            raise
        finally:
            await api.close()

    async def _serve(self, api):
        certificates = Certificates(api, self._place, self._terms, self._every)
        kinds = Kinds(api, "", lambda *_: None)
        pods = PodWebhook(api, self._config, IMAGE, lambda trial: trial_env(trial, DB_MANAGER), kinds.resource)
        app = webhook_app(ExperimentWebhook(api, lambda: CHECKS, nothing_against), pods)
        async with WebhookServer(app, certificates, 0, "127.0.0.1") as self._server:
            keeping = [asyncio.create_task(certificates.keep())] if self._leads else []
            await self._ended.wait()
            for task in keeping:
                task.cancel()


def configure(client, url, **changes):
    """Tell the API server of webhooks at this URL; `changes` replace keys of each webhook."""
    for kind, body in zip(KINDS, webhook_configurations(url), strict=True):
        body["webhooks"] = [{**webhook, **changes} for webhook in body["webhooks"]]
        client.patch(f"{CONFIGURATIONS}/{kind}/katib.kubeflow.org", body, "apply", fieldManager="tests", force="true")


def unconfigure(client):
    for kind in KINDS:
        client.delete(f"{CONFIGURATIONS}/{kind}/katib.kubeflow.org")


def bundles(client):
    """Whom the API server trusts, webhook by webhook."""
    found = [client.get(f"{CONFIGURATIONS}/{kind}/katib.kubeflow.org")["webhooks"] for kind in KINDS]
    return [webhook["clientConfig"].get("caBundle") for webhooks in found for webhook in webhooks]


def asked(client, namespace):
    """Whether the API server asks us: strategies are what only a webhook fills in."""
    answer = client.post(path_of(namespace, "Experiment"), experiment(), dryRun="All")
    return "metricStrategies" in answer["spec"]["objective"]


async def nothing_against(experiment):
    """No algorithm's service is asked."""
    return []
