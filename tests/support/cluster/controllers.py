"""A controller as a process: started against a kubeconfig, killed, stopped, and started again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 60


class Controller:
    """`katib-py controller` for one namespace, with a suggestion service, db-manager and database of its own.

    with Controller(kubeconfig, folder, namespace) as controller: …
    """

    def __init__(self, kubeconfig, folder, namespace="", arguments=()):
        self.folder = Path(folder)
        self.log = self.folder / "controller.log"
        command = [sys.executable, "-m", "katib_py.cli", "controller", "--kubeconfig", str(kubeconfig)]
        self._command = [*command, *(["-n", namespace] if namespace else []), *arguments]
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *problem):
        self.stop()

    def start(self):
        """Start it, and return once it acts."""
        begin = self.launch()
        deadline = time.monotonic() + START_SECONDS
        while "driving the experiments" not in self.said(begin):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the controller does not start:\n{self.said(begin)}")
            time.sleep(0.05)

    def launch(self):
        """Start it, and return where its part of the log begins."""
        self.folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "KATIB_HOME": str(self.folder)}
        with open(self.log, "ab") as log:
            begin = log.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True
            )
        return begin

    def said(self, begin=0):
        """What it has logged."""
        with open(self.log, "rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def kill(self):
        """End it as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """End it as a rollout does."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise


def eventually(look, seconds=60):
    """What `look` returns once it is true; fails with what it returned last."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {found!r} after {seconds} s")
        time.sleep(0.1)
    return found
