"""What the control plane is measured on: real etcd and kube-apiserver, shared services, controllers as processes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from support.cluster import kinds
from support.cluster.apiserver import ApiServer
from support.cluster.controllers import Controller
from support.cluster.processes import Server

NAMESPACE = "benchmark"
LISTENING = "listening on "


@dataclass
class Rig:
    """An API server with Katib's kinds, a suggestion service and a db-manager; controllers come when asked for."""

    folder: Path
    server: ApiServer
    services: list[Server]
    arguments: list[str]
    stack: ExitStack
    controllers: list[Controller] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Path:
        """The admin's."""
        return self.server.kubeconfig

    @property
    def client(self) -> Any:
        """The admin's client."""
        return self.server.client

    @property
    def database(self) -> Path:
        """The file of the observation log."""
        return self.folder / "katib.db"

    def controller(self, *arguments: str) -> Controller:
        """One more controller, which acts or stands by."""
        number = len(self.controllers)
        made = Controller(
            self.kubeconfig, self.folder / f"controller-{number}", NAMESPACE, [*self.arguments, *arguments]
        )
        self.stack.callback(made.stop)
        self.controllers.append(made)
        return made

    def processor_seconds(self) -> dict[str, float]:
        """What each process has used so far, this one included."""
        ours = {f"controller {i}": one.process for i, one in enumerate(self.controllers)}
        theirs = {one.name: one.process for one in (self.server.etcd, self.server.server, *self.services)}
        pids = {name: process.pid for name, process in {**ours, **theirs}.items() if process is not None}
        return {name: _seconds(pid) for name, pid in {**pids, "played": os.getpid()}.items()}


@contextmanager
def rig() -> Iterator[Rig]:
    """A fresh one; everything that was started is stopped afterwards."""
    with tempfile.TemporaryDirectory(prefix="controlplane-") as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(ApiServer(folder / "cluster"))
        kinds.install(server.client)
        server.namespace(NAMESPACE)
        database = f"sqlite:///{folder}/katib.db"
        suggestion, where = _service(stack, folder, "suggestion_services", [])
        manager, port = _service(stack, folder, "katib_py.observations", ["--db", database])
        arguments = ["--suggestion", where, "--db-manager", f"localhost:{port.rpartition(':')[2]}", "--db", database]
        yield Rig(folder, server, [suggestion, manager], arguments, stack)


def _service(stack: ExitStack, folder: Path, module: str, arguments: Sequence[str]) -> tuple[Server, str]:
    """A service as a process, and where it listens."""
    server = Server(module, [sys.executable, "-m", module, "--listen", "127.0.0.1:0", *arguments], folder)
    stack.callback(server.stop)
    server.start().wait_until(lambda: LISTENING in server.tail())
    return server, server.tail().partition(LISTENING)[2].split()[0]


class Usage:
    """What a stretch of work cost in processor time, and how much of the machine others took meanwhile."""

    def __init__(self, place: Rig) -> None:
        self._place = place
        self._before, self._busy, self._begin = place.processor_seconds(), _busy_seconds(), time.monotonic()

    def since(self) -> dict[str, float]:
        """Seconds by process, up to now."""
        now = self._place.processor_seconds()
        return {name: round(spent - self._before.get(name, 0.0), 2) for name, spent in now.items()}

    def others(self) -> float:
        """Cores that others used, up to now."""
        busy, passed = _busy_seconds() - self._busy, time.monotonic() - self._begin
        return round(max(0.0, busy - sum(self.since().values())) / passed, 2)


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(sum(times) - times.idle - times.iowait - times.guest - times.guest_nice)


def _seconds(pid: int) -> float:
    try:
        times = psutil.Process(pid).cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def machine() -> dict[str, Any]:
    """Where and when, and what else ran."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "cpus": os.cpu_count(),
        "model": _model(),
        "load": round(os.getloadavg()[0], 2),
        "revision": _revision(),
    }


def _model() -> str:
    with open("/proc/cpuinfo") as file:
        return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "unknown")


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent
    ).stdout.strip()
