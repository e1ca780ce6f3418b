"""A real node: an API server, kube-controller-manager, kube-scheduler, containerd, kubelet and kube-proxy.

    python -m support.cluster.node FOLDER [ARCHIVE …]

runs one in the foreground, as root and from the folder tests, and prints the path of its kubeconfig. All but the
control plane lives in namespaces of its own (see `enclosure`): from this machine its pods and services are reached at
their addresses, and they are gone with the process that started it.
"""

import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from support.cluster import binaries, images, node_files
from support.cluster.apiserver import ApiServer, run_until_signal
from support.cluster.certificates import ADMINS
from support.cluster.client import Refused
from support.cluster.enclosure import Network, start_keeper
from support.cluster.processes import Died, Server
from support.shell import wait_for

# Debian's packages, by what is looked for.
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "setpriv": "util-linux",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
PROGRAMS = (*binaries.API_SERVER, "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
NAME = "node"


class Node(ApiServer):
    """A cluster of one node, on which pods really run."""

    def __init__(self, folder):
        folder = Path(folder).absolute()
        self.network = _free_network()
        super().__init__(
            folder,
            address=self.network.outside,
            services=self.network.services,
            endpoint_reconciler_type="lease",
            advertise_address=self.network.outside,
            kubelet_client_certificate=folder / "certificates" / "api-server.crt",
            kubelet_client_key=folder / "certificates" / "api-server.key",
            kubelet_preferred_address_types="InternalIP",
        )
        self.authority.client("api-server", ADMINS)
        self.socket = folder / "containerd.sock"
        self._keeper = None
        self._servers = []

    def start(self):
        """Start it, or the API server alone where that was killed."""
        fresh = self._keeper is None
        if fresh:
            self._keeper = start_keeper(self.folder, self.network)
        super().start()
        if fresh:
            self._start_control_plane()
            self._start_node()
        return self

    def stop(self):
        for server in self._servers:
            server.kill()
        if self._keeper:
            self._keeper.communicate()  # which ends its input
        super().stop()

    def load(self, archive):
        """Make the images of an archive known to the node."""
        self._images("import", archive)

    def tag(self, image, name):
        """Make an image known by another name too."""
        self._images("tag", image, name)

    def _images(self, *words):
        command = ["ctr", "--address", self.socket, "--namespace", "k8s.io", "images", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Died(f"{words} fails: {done.stderr}{self.tail('containerd')}")

    def tail(self, name):
        return (self.folder / f"{name}.log").read_bytes()[-3000:].decode(errors="replace")

    def _start_control_plane(self):
        self.start_controllers("*")
        kubeconfig = self.user("system:kube-scheduler")
        flags = (f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0")
        self._start_server("kube-scheduler", [binaries.find("kube-scheduler"), *flags])
        names = [sys.executable, "-m", "support.cluster.names", self.kubeconfig, self.network.outside]
        self._start_server("names", names)

    def _start_server(self, name, command):
        self._servers.append(Server(name, command, self.folder, {"PYTHONPATH": str(Path(__file__).parents[2])}).start())

    def _start_node(self):
        files = node_files.Files(self.folder, self.network, self.authority.pair.certificate)
        self._start_inside("containerd", "containerd", "--config", files.containerd(self.socket))
        wait_for(self.socket.exists)
        self.load(images.pause())
        kubelet = self.user(f"system:node:{NAME}", "system:nodes")
        self._start_inside(
            "kubelet",
            binaries.find("kubelet"),
            f"--config={files.kubelet(self.socket)}",
            f"--kubeconfig={kubelet}",
            f"--root-dir={self.folder / 'kubelet'}",
            f"--cert-dir={self.folder / 'kubelet-certificates'}",
            f"--hostname-override={NAME}",
            f"--node-ip={self.network.node}",
        )
        self._start_inside(
            "kube-proxy",
            binaries.find("kube-proxy"),
            f"--kubeconfig={self.user('system:kube-proxy')}",
            f"--hostname-override={NAME}",
            f"--cluster-cidr={self.network.pods}",
            "--proxy-mode=iptables",
            "--masquerade-all",  # or a pod's answer to its neighbour goes past what would translate it
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
        )
        try:
            wait_for(self._ready, seconds=90)
        except AssertionError as late:
            raise Died(f"the node is not ready: {self.tail('kubelet')}") from late

    def _start_inside(self, name, *command):
        log = str(self.folder / f"{name}.log")
        line = json.dumps({"name": name, "command": [str(word) for word in command], "log": log})
        self._keeper.stdin.write(f"{line}\n")
        self._keeper.stdin.flush()

    def _ready(self):
        """The node takes pods: it is ready, and the taint that it starts with is gone."""
        try:
            node = self.client.get(f"/api/v1/nodes/{NAME}")
        except Refused:
            return False
        conditions = {found["type"]: found["status"] for found in node["status"].get("conditions", [])}
        return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def missing():
    """Why no node can run here; nothing where one can."""
    packages = {package for program, package in PACKAGES.items() if not shutil.which(program)}
    if os.geteuid() != 0:
        return "a node needs root"
    if not Path("/sys/fs/cgroup/memory").exists():
        return "the node of these tests is for control groups of version 1"
    return f"a node needs Debian's packages {' '.join(sorted(packages))}" if packages else None


def _free_network():
    taken = {path.name for path in Path("/sys/class/net").iterdir()}
    return random.choice([one for one in map(Network, range(1, 250)) if one.interface not in taken])


def main(folder, *archives):
    with Node(folder) as node:
        for archive in archives:
            node.load(archive)
        print(node.kubeconfig, flush=True)
        run_until_signal()


if __name__ == "__main__":
    main(*sys.argv[1:])
