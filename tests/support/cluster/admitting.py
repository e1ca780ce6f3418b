"""A controller outside the cluster whose webhooks the API server calls, for one namespace."""

import os
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import yaml
from support.cluster.controllers import Controller, eventually
from support.cluster.processes import free_ports

from katib_py.backends.k8s.webhooks.configurations import webhook_configurations

WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"
PLURALS = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}


@contextmanager
def admitting(server, folder, namespace, arguments=()):
    """A controller of the namespace that acts, once the API server has all that it needs to ask its webhooks."""
    (port,) = free_ports(1)
    settings = {"metricsAddr": "0", "healthzAddr": "0", "webhookPort": port}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "katib-config.yaml"
    path.write_text(yaml.safe_dump({"init": {"controller": settings}}))
    arguments = ["--config", str(path), *arguments]
    with (
        mock.patch.dict(os.environ, KATIB_CORE_NAMESPACE=namespace),
        Controller(server.kubeconfig, folder, namespace, arguments) as process,
        configured(server.client, f"https://127.0.0.1:{port}", namespace),
    ):
        eventually(lambda: "webhooks answer" in process.said())
        eventually(lambda: trusted(server.client))
        yield process


@contextmanager
def configured(client, url, namespace):
    """The API server is told of the webhooks at this URL."""
    for configuration in webhook_configurations(url, namespace):
        client.post(f"{WEBHOOKS}/{PLURALS[configuration['kind']]}", configuration)
    try:
        yield
    finally:
        for plural in PLURALS.values():
            client.delete(f"{WEBHOOKS}/{plural}/katib.kubeflow.org")


def trusted(client):
    """Whether every webhook has the authority by which the API server knows the controller."""
    found = [client.get(f"{WEBHOOKS}/{plural}/katib.kubeflow.org")["webhooks"] for plural in PLURALS.values()]
    return all(webhook["clientConfig"].get("caBundle") for webhooks in found for webhook in webhooks)
