"""Who speaks to a cluster: its admin, users with certificates, service accounts with tokens."""

import base64
from functools import cached_property
from pathlib import Path

import yaml
from support.cluster.client import Client, Refused, write_kubeconfig

HOUR = 3600


class Access:
    """A cluster as seen through its admin's kubeconfig."""

    def __init__(self, kubeconfig, folder):
        self.kubeconfig = Path(kubeconfig)
        self._folder = Path(folder)

    @cached_property
    def client(self):
        """The admin's client."""
        return Client(self.kubeconfig)

    def account(self, namespace, name):
        """A kubeconfig of a service account, which is made where it is missing."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        create(self.client, accounts, {"metadata": {"name": name}})
        request = {"spec": {"expirationSeconds": 10 * HOUR}}
        token = self.client.post(f"{accounts}/{name}/token", request)["status"]["token"]
        cluster = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        authority = cluster.get("certificate-authority-data") or encoded(cluster["certificate-authority"])
        path = self._folder / f"{namespace}.{name}.kubeconfig"
        return write_kubeconfig(path, cluster["server"], authority, {"token": token})

    def namespace(self, name):
        """A new namespace with its service account, which pods need to be admitted."""
        create(self.client, "/api/v1/namespaces", {"metadata": {"name": name}})
        accounts = f"/api/v1/namespaces/{name}/serviceaccounts"
        create(self.client, accounts, {"metadata": {"name": "default"}})
        return name

    def grant(self, namespace, account, *rules):
        """Let a service account do in its namespace what these rules of a Role say."""
        roles = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        metadata = {"generateName": f"{account}-"}
        role = self.client.post(f"{roles}/roles", {"metadata": metadata, "rules": list(rules)})
        name = role["metadata"]["name"]
        binding = {
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
        }
        self.client.post(f"{roles}/rolebindings", binding)


def create(client, path, body):
    """Create an object unless it is there."""
    try:
        client.post(path, body)
    except Refused as refused:
        if refused.code != 409:
            raise


def encoded(file):
    return base64.b64encode(Path(file).read_bytes()).decode()
