"""Namespaces and cgroups that a node lives in: nothing in them outlives whoever holds the keeper's standard input.

The keeper is a process of its own. It makes the cgroups, starts the first process of the namespaces (see `inside`),
joins their network to the machine's, and takes everything away when its input ends, be it that the tests were killed.
A line of its input is a daemon to start inside: {"name", "command", "log"}.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

TESTS = Path(__file__).parents[2]
NAMESPACES = ("--pid", "--mount-proc", "--mount", "--net", "--uts", "--ipc", "--cgroup")
PREFIX = "katib-py-node-"
# What is big in a node's folder, or many files.
LEFT = ("containerd", "kubelet")


@dataclass(frozen=True)
class Network:
    """Addresses of one node; `number` tells nodes on one machine apart."""

    number: int

    @property
    def interface(self):
        return f"kpy{self.number}"

    @property
    def outside(self):
        return f"10.201.{self.number}.1"

    @property
    def node(self):
        return f"10.201.{self.number}.2"

    @property
    def pods(self):
        return f"10.202.{self.number}.0/24"

    @property
    def services(self):
        return f"10.203.{self.number}.0/24"


def start_keeper(folder, network):
    """The keeper's process, once the namespaces are there; closing its input ends all."""
    spec = json.dumps({"folder": str(folder), **asdict(network)})
    command = [sys.executable, "-m", "support.cluster.enclosure", spec]
    with open(Path(folder) / "keeper.log", "ab") as log:
        keeper = subprocess.Popen(
            command,
            cwd=TESTS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    if keeper.stdout.readline() != "ready\n":
        keeper.communicate()
        raise OSError(f"no namespaces for a node: {(Path(folder) / 'keeper.log').read_text()[-2000:]}")
    return keeper


@dataclass(frozen=True)
class Hierarchy:
    """A hierarchy of control groups (version 1): its controllers, and where this process is in it."""

    controllers: str
    place: Path

    @property
    def options(self):
        return f"none,{self.controllers}" if self.controllers.startswith("name=") else self.controllers

    @property
    def mount_name(self):
        return self.controllers.removeprefix("name=")


def hierarchies():
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup":
            for option in options.split(","):
                mounts[option] = before.split()[4]
    found = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, place = line.split(":", 2)
        if number != "0" and (mount := mounts.get(controllers.split(",")[0])):
            found.append(Hierarchy(controllers, Path(mount + place)))
    return found


def make_groups(name):
    """A control group of this name in each hierarchy, below the present one."""
    groups = [hierarchy.place / name for hierarchy in hierarchies()]
    for group in groups:
        group.mkdir()
        for file in ("cpuset.cpus", "cpuset.mems"):  # a new group has none
            if (group / file).exists():
                (group / file).write_text((group.parent / file).read_text())
    return groups


def remove_groups(name):
    """Remove those groups and what the node made below them; who is still in there is killed."""
    for hierarchy in hierarchies():
        deadline = time.monotonic() + 10
        while (group := hierarchy.place / name).exists() and time.monotonic() < deadline:
            for folder, _, _ in os.walk(group, topdown=False):
                for process in _members(Path(folder)):
                    with suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                with suppress(OSError):
                    os.rmdir(folder)
            time.sleep(0.05)


def _members(group):
    with suppress(OSError):
        return [int(line) for line in (group / "cgroup.procs").read_text().split()]
    return []


def sweep():
    """Remove the groups of keepers that were killed."""
    names = {path.name for hierarchy in hierarchies() for path in hierarchy.place.glob(f"{PREFIX}*")}
    for name in names:
        if not Path("/proc", name.removeprefix(PREFIX)).exists():
            remove_groups(name)


def keep(spec):
    """The keeper's life."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # its input says when to end
    sweep()
    name, network = f"{PREFIX}{os.getpid()}", Network(spec["number"])
    try:
        groups = make_groups(name)
        first = _unshare(groups, spec["folder"])
        if first.stdout.readline() != "mounted\n":
            raise OSError("the namespaces cannot be made")
        _join_networks(network, _child(first.pid))
        print("ready", flush=True)
        for line in sys.stdin:
            first.stdin.write(line)
            first.stdin.flush()
        first.kill()  # and with it, by --kill-child, all that is inside
        first.wait()
    finally:
        remove_groups(name)
        for left in LEFT:
            shutil.rmtree(Path(spec["folder"]) / left, ignore_errors=True)


def _unshare(groups, folder):
    enter = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in groups)
    inside = f'{enter}; exec unshare {" ".join(NAMESPACES)} --fork --kill-child=KILL "$@"'
    command = ["setpriv", "--pdeathsig", "KILL", "sh", "-ec", inside, "sh"]
    command += [sys.executable, "-m", "support.cluster.inside", folder]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _child(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0]


def _join_networks(network, pid):
    def ip(*words, within=()):
        subprocess.run([*within, "ip", *words], check=True, stdout=sys.stderr)

    def inside(*words):
        ip(*words, within=("nsenter", "--target", pid, "--net"))

    ip("link", "add", network.interface, "type", "veth", "peer", "name", "eth0", "netns", pid)
    ip("address", "add", f"{network.outside}/30", "dev", network.interface)
    ip("link", "set", network.interface, "up")
    inside("link", "set", "lo", "up")
    inside("address", "add", f"{network.node}/30", "dev", "eth0")
    inside("link", "set", "eth0", "up")
    inside("route", "add", "default", "via", network.outside)
    # They go with the interface.
    for addresses in (network.pods, network.services):
        ip("route", "add", addresses, "via", network.node)


if __name__ == "__main__":
    keep(json.loads(sys.argv[1]))
