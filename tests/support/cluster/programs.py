"""What a played kubelet runs: a pod's container as a process of this machine that finds what it would find in a pod.

The process has a mount namespace of its own, with the service account's namespace file and the names of Services.
"""

import asyncio
import os
import shutil
import signal
import tempfile
from pathlib import Path

from support.cluster.played_pods import ended, running

ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount"
# $1 is the pod's namespace, $2 a file of hosts; the rest is the command.
AS_IN_A_POD = f"""
mount -t tmpfs tmpfs /run
mkdir -p {ACCOUNT}
printf %s "$1" > {ACCOUNT}/namespace
mount --bind "$2" /etc/hosts
shift 2
exec "$@"
"""


def missing():
    """Why nothing can be run so, if it cannot."""
    return "" if shutil.which("unshare") else "unshare is needed to run a pod's program: install util-linux"


class Programs:
    """Runs containers; `tools` are folders whose programs they find first, `hosts` the addresses of names.

    `images` are the commands of images, for containers without one of their own.
    """

    def __init__(self, node, tools=(), hosts=None, images=None):
        self._node = node
        self._images = images or {}
        self._path = os.pathsep.join([*map(str, tools), os.environ["PATH"]])
        self._hosts = {"localhost": "127.0.0.1", **(hosts or {})}

    async def play(self, client, pod, container):
        """The whole life of a pod on the node: this container of it is run. Returns the exit status."""
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        status = f"/api/v1/namespaces/{namespace}/pods/{name}/status"
        await client.patch(status, {"status": running(pod)})
        code = await self.run(pod, container)
        self._node.end(namespace, name, container)
        await client.patch(status, {"status": ended(code)(pod)})
        return code

    async def run(self, pod, container):
        """Run the container's command to its end; what it prints is its log. Returns the exit status."""
        spec = next(one for one in pod["spec"]["containers"] if one["name"] == container)
        namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
        with tempfile.TemporaryDirectory() as folder:
            hosts = Path(folder) / "hosts"
            hosts.write_text("".join(f"{address} {host}\n" for host, address in self._hosts.items()))
            work = Path(folder) / "work"
            work.mkdir()
            process = await asyncio.create_subprocess_exec(
                *_unshare(),
                *("sh", "-ec", AS_IN_A_POD, "pod", namespace, hosts),
                *(*(spec.get("command") or self._images[spec["image"]]), *spec.get("args", ())),
                cwd=work,
                env=self._env(spec),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                async for line in process.stdout:
                    self._node.say(namespace, name, line.decode().rstrip("\n"), container)
                return await process.wait()
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()

    def _env(self, container):
        own = {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}
        return {"PATH": self._path, "HOME": "/tmp", **own}


def _unshare():
    own = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", *own, "--mount")
