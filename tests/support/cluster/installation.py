"""katib-py on a node as its users have it: the image that the Dockerfile makes, the manifests, and kubectl."""

import asyncio
import functools
import subprocess
import urllib.request
from pathlib import Path

import yaml
from support.cluster import binaries, images
from support.cluster.access import create
from support.cluster.webhooks import asked
from support.shell import wait_for

from katib_py.cli.manifests import Installation, to_yaml
from katib_py.observations.remote import RemoteLog

IMAGE = "localhost/katib-py:tests"
ROOT = Path(__file__).parents[3]
CORE = "kubeflow"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
# A controller may make these only where somebody lets it: docs/kubernetes.md, Rights.
MAKES_VOLUMES = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {
        "name": "katib-makes-volumes",
        "labels": {"rbac.katib.kubeflow.org/aggregate-to-controller": "true"},
    },
    "rules": [{"apiGroups": [""], "resources": ["persistentvolumes"], "verbs": ["get", "create", "delete"]}],
}
READY_SECONDS = 180


@functools.cache
def image():
    """The archive of the image, built once."""
    return images.build(IMAGE, ROOT)


class Installed:
    """katib-py on a node."""

    def __init__(self, node, folder):
        self.node = node
        self.client = node.client
        self.folder = Path(folder)

    def install(self):
        """Everything that docs/kubernetes.md tells to do; returns once it is ready."""
        self.node.load(image())
        self.node.namespace(CORE)
        self.client.patch(f"/api/v1/namespaces/{CORE}", {"metadata": {"labels": RESTRICTED}})
        # Nothing on the node makes volumes.
        self.apply(volume("katib-db", self.shared_folder("katib-db"), "10Gi"))
        self.apply(*Installation(image=IMAGE).objects())
        self.kubectl(
            "wait", "deployment", "--all", "-n", CORE, "--for=condition=Available", f"--timeout={READY_SECONDS}s"
        )
        wait_for(lambda: asked(self.client, CORE), 60)

    def shared_folder(self, name):
        """A new folder of this machine that any user of a pod may write to."""
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def kubectl(self, *words, stdin=None, may_fail=False):
        """What it prints; what it complains of, where it may fail."""
        command = [binaries.find("kubectl"), "--kubeconfig", str(self.node.kubeconfig), *map(str, words)]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        assert may_fail or done.returncode == 0, done.stderr
        return done.stderr if may_fail else done.stdout

    def apply(self, *documents):
        self.kubectl("apply", "--server-side", "-f", "-", stdin=to_yaml(documents))

    def configure(self, runtime):
        """Have this `runtime` in katib-config, as somebody who edits it."""
        path = f"/api/v1/namespaces/{CORE}/configmaps/katib-config"
        config = yaml.safe_load(self.client.get(path)["data"]["katib-config.yaml"])
        text = yaml.safe_dump({**config, "runtime": runtime})
        self.client.patch(path, {"data": {"katib-config.yaml": text}})

    def everything(self, namespace):
        """The objects of every kind that the namespace has, and all volumes; but for what the cluster keeps itself."""
        kinds = set(self.kubectl("api-resources", "--namespaced", "--verbs=list,delete", "-o", "name").split())
        kept = {"events", "events.events.k8s.io"}
        listed = self.kubectl("get", ",".join(sorted(kinds - kept)), "-n", namespace, "-o", "name")
        return set(listed.split()) | set(self.kubectl("get", "persistentvolumes", "-o", "name").split())

    def measured(self):
        """The uids of the trials that the observation log has something of."""
        return asyncio.run(_held(f"{self._address('katib-db-manager')}:6789"))

    def page(self, service, port, path):
        """What one of its Services shows to a browser."""
        with urllib.request.urlopen(f"http://{self._address(service)}:{port}/{path}", timeout=30) as answer:
            return answer.read().decode()

    def _address(self, service):
        return self.client.get(f"/api/v1/namespaces/{CORE}/services/{service}")["spec"]["clusterIP"]


async def _held(address):
    log = RemoteLog(address)
    try:
        return await log.held()
    finally:
        await log.close()


def new_namespace(installed, name, **labels):
    """A namespace with labels, ready for pods."""
    create(installed.client, "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    return installed.node.namespace(name)


def volume(name, folder, size):
    """A volume that is a folder of this machine."""
    spec = {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": str(folder)}}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
