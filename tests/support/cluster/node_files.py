"""The configuration files of a node's programs."""

import json
from dataclasses import dataclass
from pathlib import Path

import yaml
from support.cluster.enclosure import Network
from support.cluster.images import PAUSE

CONTAINERD = """\
version = 2
root = "{folder}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # A machine that is itself contained refuses lower scores, and with them every sandbox.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""


@dataclass(frozen=True)
class Files:
    """Writes them into the node's folder."""

    folder: Path
    network: Network
    authority: Path

    def containerd(self, socket):
        self._cni()
        text = CONTAINERD.format(folder=self.folder, socket=socket, pause=PAUSE)
        return self._write("containerd.toml", text)

    def _cni(self):
        ipam = {
            "type": "host-local",
            "ranges": [[{"subnet": self.network.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": ipam}
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        (self.folder / "cni").mkdir()
        plugins = {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, ports]}
        self._write("cni/pods.conflist", json.dumps(plugins))

    def kubelet(self, socket):
        names = self._write("resolv.conf", f"nameserver {self.network.outside}\n")
        document = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.network.node,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority)},
            },
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": f"unix://{socket}",
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "oomScoreAdj": 0,
            # Images come from nowhere again, and a machine of developers is often full.
            "imageGCHighThresholdPercent": 100,
            "evictionHard": {"memory.available": "10Mi", "nodefs.available": "10Mi", "imagefs.available": "10Mi"},
            "clusterDNS": [self.network.outside],
            "clusterDomain": "cluster.local",
            "resolvConf": str(names),
            "podLogsDir": str(self.folder / "pod-logs"),
            "nodeStatusUpdateFrequency": "4s",
            "volumePluginDir": str(self.folder / "volume-plugins"),
        }
        return self._write("kubelet.yaml", yaml.safe_dump(document))

    def _write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path
