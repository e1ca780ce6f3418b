"""The first process inside a node's namespaces: its mounts, then its daemons, each a line of JSON of standard input."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from support.cluster.enclosure import hierarchies

# Where programs write that cannot be told otherwise: empty inside, and not this machine's.
PRIVATE = ("/run", "/var/lib", "/var/log")
# What kubelet would set for the whole machine: here it finds it set already.
KERNEL = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def main(folder):
    found = hierarchies()
    mount_groups(found)
    for path in PRIVATE:
        mount("tmpfs", path, "tmpfs", options="mode=0755")
    mount("none", "/run", propagation="--make-rshared")
    pretend(Path(folder) / "kernel")
    IP_FORWARD.write_text("1")
    socket.sethostname("node")
    signal.signal(signal.SIGCHLD, reap)
    print("mounted", flush=True)
    for line in sys.stdin:
        start(**json.loads(line))


def mount_groups(found):
    """The control groups as this namespace sees them; sysfs anew, for it shows the network's devices."""
    mount("sysfs", "/sys", "sysfs")
    mount("tmpfs", "/sys/fs/cgroup", "tmpfs", options="mode=0755")
    for hierarchy in found:
        place = Path("/sys/fs/cgroup") / hierarchy.mount_name
        place.mkdir()
        mount("cgroup", place, "cgroup", options=hierarchy.options)


def pretend(folder):
    folder.mkdir()
    for name, value in KERNEL.items():
        file = folder / Path(name).name
        file.write_text(f"{value}\n")
        subprocess.run(["mount", "--bind", file, f"/proc/sys/{name}"], check=True)


def mount(source, target, kind=None, options=None, propagation=None):
    command = ["mount", propagation, target] if propagation else ["mount", "-t", kind, source, target]
    subprocess.run([*command, *(["-o", options] if options else [])], check=True)


def start(name, command, log):
    with open(log, "ab") as output:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)


def reap(*_):
    """Whoever loses its parent becomes this process's child."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


if __name__ == "__main__":
    main(sys.argv[1])
