"""The command line as its users run it: real processes in a folder of their own."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass
class Shell:
    """A folder with its own $KATIB_HOME in which commands are run."""

    folder: Path

    def __call__(self, *arguments, stdin=None):
        return subprocess.run(
            [sys.executable, "-m", "katib_py.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "katib_py.cli", *map(str, arguments)],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def env(self):
        return {**os.environ, "KATIB_HOME": str(self.folder / "home"), "COLUMNS": "200"}

    def write(self, name="demo", command="echo loss=${trialParameters.x}", **spec):
        """An experiment file whose trials run a shell command."""
        path = self.folder / f"{name}.yaml"
        path.write_text(yaml.safe_dump(document(name, command, **spec)))
        return path


def document(name, command, **spec):
    container = {"name": "main", "image": "busybox", "command": ["sh", "-c", command]}
    template = {"spec": {"template": {"spec": {"containers": [container], "restartPolicy": "Never"}}}}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parallelTrialCount": 2,
            "maxTrialCount": 4,
            "parameters": [
                {"name": "x", "parameterType": "double", "feasibleSpace": {"min": "0", "max": "1"}},
            ],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job", **template},
            },
            **spec,
        },
    }


def wait_for(condition, seconds=30.0):
    """Wait until something holds; a failure says so instead of hanging."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.05)
    return result


def interrupt(process):
    process.send_signal(signal.SIGINT)
    return process.wait(60)
