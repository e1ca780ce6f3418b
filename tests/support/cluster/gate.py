"""Somebody's admission webhook: asked before each write of a kind in a namespace, it lets it pass or says why not.

async with Gate(kubeconfig, namespace, judge, "batch/v1/jobs", "CREATE"): …
"""

import base64
import inspect
import ssl
import tempfile
from pathlib import Path

from aiohttp import web
from support.cluster.async_client import AsyncClient
from support.cluster.certificates import Authority
from support.cluster.processes import free_ports

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"


class Gate:
    """`judge` is given each request, as AdmissionReviews have it, and returns a text to refuse it with, or nothing.

    A resource is group/version/plural, with the subresource behind another slash.
    """

    def __init__(self, kubeconfig, namespace, judge, resource, *operations):
        self._client = AsyncClient(kubeconfig)
        self._namespace, self._judge, self._resource, self._operations = namespace, judge, resource, operations
        self._name = f"gate-{namespace}-{resource.replace('/', '-')}"
        self._runner = None

    async def __aenter__(self):
        await self._client.__aenter__()
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        (port,) = free_ports(1)
        with tempfile.TemporaryDirectory() as folder:
            authority = Authority(folder)
            pair, context = authority.server("gate", ["127.0.0.1"]), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(pair.certificate, pair.key)
            bundle = base64.b64encode(Path(authority.pair.certificate).read_bytes()).decode()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()
        await self._client.post(CONFIGURATIONS, self._configuration(port, bundle))
        return self

    async def __aexit__(self, *problem):
        await self._client.delete(f"{CONFIGURATIONS}/{self._name}")
        await self._client.__aexit__(*problem)
        await self._runner.cleanup()

    def _configuration(self, port, bundle):
        group, version, plural = self._resource.split("/", 2)
        rule = {"apiGroups": [group], "apiVersions": [version], "resources": [plural], "operations": self._operations}
        webhook = {
            "name": "gate.example.com",
            "clientConfig": {"url": f"https://127.0.0.1:{port}/", "caBundle": bundle},
            "rules": [rule],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self._namespace}},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        }
        return {"metadata": {"name": self._name}, "webhooks": [webhook]}

    async def _answer(self, request):
        review = await request.json()
        refused = self._judge(review["request"])
        if inspect.isawaitable(refused):
            refused = await refused
        response = {"uid": review["request"]["uid"], "allowed": not refused}
        if refused:
            response["status"] = {"message": refused, "code": 403}
        return web.json_response({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response})
