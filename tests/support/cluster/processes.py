"""Servers that the tests start: their output goes to files, and none outlives whoever started it."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# The kernel kills a child with the thread that started it, so one thread that never ends starts them all.
_STARTER = ThreadPoolExecutor(1, "starter")
_DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
# Below the ports that the kernel gives to clients, so that a server that is started again finds its port free.
_PORTS = range(20000, 32000)


class Died(Exception):
    """A server ended by itself; carries the end of its output."""


class Server:
    """A process that can be stopped, killed and started again with the same command."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = Path(folder) / f"{name}.log"
        self.environment = environment
        self.process = None

    def start(self):
        if not self.alive:
            self.process = _STARTER.submit(self._start).result()
        return self

    def _start(self):
        environment = {**os.environ, **(self.environment or {})}
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [*_DIES_WITH_US, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it in order
            )

    @property
    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self, seconds=10.0):
        """SIGTERM, and SIGKILL for who does not hear it."""
        if self.alive:
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        if self.alive:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def wait_until(self, ready, seconds=60.0):
        """Wait until `ready()`; whoever dies meanwhile is quoted."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.alive:
                raise Died(f"{self.name} ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                raise Died(f"{self.name} is not ready after {seconds:.0f} s: {self.tail()}")
            time.sleep(0.05)

    def tail(self, size=3000):
        return self.log.read_bytes()[-size:].decode(errors="replace")


def free_ports(count):
    """Ports of the loopback interface that nobody listens on."""
    found = set()
    while len(found) < count:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.add(port)
    return sorted(found)
