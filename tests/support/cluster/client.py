"""A small synchronous client of the Kubernetes API for tests: paths and dictionaries, nothing in between."""

import json
import time
from pathlib import Path
from urllib.parse import urlencode

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import Configuration

PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}

BUSY = 429


class Refused(Exception):
    """An answer that is no success: its status code, and the Status object that says why."""

    def __init__(self, code, status):
        super().__init__(f"{code}: {status.get('message', status)}")
        self.code = code
        self.status = status


class Client:
    """Speaks to the server of a kubeconfig."""

    def __init__(self, kubeconfig):
        settings = Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)
        self.url = settings.host
        self._pool = urllib3.PoolManager(
            ca_certs=settings.ssl_ca_cert,
            cert_file=settings.cert_file,
            key_file=settings.key_file,
            cert_reqs="CERT_REQUIRED" if settings.verify_ssl else "CERT_NONE",
            retries=False,
            timeout=30,
        )
        token = settings.api_key.get("BearerToken")
        self._headers = {"Authorization": token} if token else {}

    def get(self, path, **query):
        return self._send("GET", path, query)

    def post(self, path, body, **query):
        return self._send("POST", path, query, body)

    def put(self, path, body, **query):
        return self._send("PUT", path, query, body)

    def patch(self, path, body, kind="merge", **query):
        return self._send("PATCH", path, query, body, PATCHES[kind])

    def delete(self, path, **query):
        return self._send("DELETE", path, query)

    def watch(self, path, version, seconds=30, **query):
        """The events after a version, until the server ends the watch."""
        query = {**query, "watch": "true", "resourceVersion": version, "timeoutSeconds": seconds}
        with self._open("GET", path, query, preload_content=False) as answer:
            if answer.status >= 400:
                raise Refused(answer.status, _document(answer.read()))
            for line in _lines(answer):
                yield json.loads(line)

    def text(self, path, **query):
        """What is no JSON, such as a container's log."""
        answer = self._open("GET", path, query)
        if answer.status >= 400:
            raise Refused(answer.status, _document(answer.data))
        return answer.data.decode()

    def close(self):
        self._pool.clear()

    def _send(self, method, path, query, body=None, content="application/json"):
        given = {"body": json.dumps(body), "headers": {"Content-Type": content}} if body is not None else {}
        answer = self._open(method, path, query, **given)
        while answer.status == BUSY:  # such as for a moment after a definition was changed
            time.sleep(0.1)
            answer = self._open(method, path, query, **given)
        if answer.status >= 400:
            raise Refused(answer.status, _document(answer.data))
        return _document(answer.data)

    def _open(self, method, path, query, headers=None, **given):
        path = f"{path}?{urlencode(query)}" if query else path
        return self._pool.request(method, self.url + path, headers={**self._headers, **(headers or {})}, **given)


def _document(data):
    return json.loads(data) if data[:1] == b"{" else {"message": data.decode()}


def _lines(answer):
    rest = b""
    for chunk in answer.stream(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines


def write_kubeconfig(path, server, authority, user):
    """A kubeconfig of one cluster and one user, `user` being its credentials as kubeconfigs write them."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "tests", "user": user}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    return path
