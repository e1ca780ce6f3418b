"""A Kubernetes API server of the tests' own: real etcd and kube-apiserver on loopback ports, no node.

    python -m support.cluster.apiserver FOLDER [CONTROLLER …]

runs one in the foreground, from the folder tests, and prints the path of its kubeconfig.
"""

import base64
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from support.cluster import binaries
from support.cluster.access import Access, encoded
from support.cluster.certificates import ADMINS, Authority, signing_key
from support.cluster.client import Refused, write_kubeconfig
from support.cluster.processes import Server, free_ports
from urllib3.exceptions import HTTPError

SERVICES = "10.0.0.0/24"
ISSUER = "https://kubernetes.default.svc"
NAMES = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1")
# What a cluster without nodes still wants from kube-controller-manager; its Jobs are played.
CONTROLLERS = ("garbage-collector-controller", "namespace-controller", "serviceaccount-controller")


class ApiServer(Access):
    """etcd and kube-apiserver, which can be killed and started again on the same ports and data."""

    def __init__(self, folder, address="127.0.0.1", services=SERVICES, **flags):
        """`flags` are further ones of kube-apiserver, with underscores."""
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        super().__init__(self.folder / "kubeconfig", self.folder / "kubeconfigs")
        self.authority = Authority(self.folder / "certificates")
        self.accounts_key = signing_key(self.folder / "certificates")
        client_port, peer_port, port = free_ports(3)
        self.url = f"https://{address}:{port}"
        self._etcd_url = f"http://127.0.0.1:{client_port}"
        self.etcd = self._make_etcd(f"http://127.0.0.1:{peer_port}")
        self.server = self._make_server(address, port, services, flags)
        self.user("admin", ADMINS, path=self.kubeconfig)
        self._controllers = []

    def start(self):
        """Start what does not run, and wait until it answers."""
        self.etcd.start().wait_until(self._etcd_answers)
        self.server.start().wait_until(self._answers)
        return self

    def stop(self):
        """End it at once: nobody reads its data again."""
        self.client.close()
        for server in (*self._controllers, self.server, self.etcd):
            server.kill()

    def kill(self):
        """SIGKILL kube-apiserver; etcd stays, `start` brings it back."""
        self.server.kill()

    def restart(self):
        """Kill kube-apiserver and start it with what etcd holds."""
        self.kill()
        return self.start()

    def compact(self):
        """Forget every version but the present one."""
        self._etcd_call("put", key=_base64("katib-py/compacted"), value=_base64("yes"))
        revision = self._etcd_call("range", key=_base64("katib-py/compacted"))["header"]["revision"]
        self._etcd_call("compaction", revision=revision, physical=True)

    def expire_watches(self):
        """Every watch ends, and who resumes one where it was is answered 410 Gone."""
        self.kill()
        self.compact()
        return self.start()

    def user(self, name, *groups, path=None):
        """A kubeconfig of a user with a certificate, who may nothing but what RBAC gives."""
        pair = self.authority.client(name, *groups)
        credentials = {
            "client-certificate-data": encoded(pair.certificate),
            "client-key-data": encoded(pair.key),
        }
        path = path or self.folder / "kubeconfigs" / f"{name.replace(':', '-')}.kubeconfig"
        return write_kubeconfig(path, self.url, encoded(self.authority.pair.certificate), credentials)

    def start_controllers(self, *names):
        """Start kube-controller-manager with these controllers only."""
        kubeconfig = self.user("system:kube-controller-manager")
        command = [
            binaries.find("kube-controller-manager"),
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(names or CONTROLLERS)}",
            f"--service-account-private-key-file={self.accounts_key}",
            f"--root-ca-file={self.authority.pair.certificate}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            "--concurrent-gc-syncs=5",
        ]
        manager = Server(f"kube-controller-manager-{len(self._controllers)}", command, self.folder)
        self._controllers.append(manager)
        return manager.start()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *problem):
        self.stop()

    def _make_etcd(self, peers):
        urls = {"client": self._etcd_url, "peer": peers}
        command = [binaries.find("etcd"), "--name=tests", f"--data-dir={self.folder / 'etcd'}", "--unsafe-no-fsync"]
        command += [f"--listen-{kind}-urls={url}" for kind, url in urls.items()]
        command += [f"--advertise-client-urls={self._etcd_url}", f"--initial-advertise-peer-urls={peers}"]
        command += [f"--initial-cluster=tests={peers}", "--log-level=warn"]
        return Server("etcd", command, self.folder)

    def _make_server(self, address, port, services, flags):
        # The first address of the services' range is the service kubernetes.
        served = self.authority.server("kube-apiserver", sorted({*NAMES, address, _first(services)}))
        flags = {
            "bind_address": address,
            "secure_port": port,
            "etcd_servers": self._etcd_url,
            "client_ca_file": self.authority.pair.certificate,
            "tls_cert_file": served.certificate,
            "tls_private_key_file": served.key,
            "service_account_key_file": self.accounts_key,
            "service_account_signing_key_file": self.accounts_key,
            "service_account_issuer": ISSUER,
            "service_cluster_ip_range": services,
            "authorization_mode": "Node,RBAC",
            "allow_privileged": "true",
            "endpoint_reconciler_type": "none",  # no pod reaches a loopback address
            "etcd_count_metric_poll_period": "0",
            "profiling": "false",
            **flags,
        }
        written = [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]
        return Server("kube-apiserver", [binaries.find("kube-apiserver"), *written], self.folder)

    def _answers(self):
        try:
            return self.client.text("/readyz") == "ok"
        except (HTTPError, Refused):
            return False

    def _etcd_answers(self):
        try:
            with urllib.request.urlopen(f"{self._etcd_url}/health") as answer:
                return json.load(answer)["health"] == "true"
        except (urllib.error.URLError, ConnectionError):
            return False

    def _etcd_call(self, call, **message):
        request = urllib.request.Request(f"{self._etcd_url}/v3/kv/{call}", data=json.dumps(message).encode())
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def _base64(text):
    return base64.b64encode(text.encode()).decode()


def _first(services):
    return services.split("/")[0].rpartition(".")[0] + ".1"


def run_until_signal():
    """Wait for Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    ended.wait()


def main(folder, *controllers):
    with ApiServer(folder) as server:
        if controllers:
            server.start_controllers(*controllers)
        print(server.kubeconfig, flush=True)
        run_until_signal()


if __name__ == "__main__":
    main(*sys.argv[1:])
