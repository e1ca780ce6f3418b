"""A db-manager as a process on a database."""

import os
import subprocess
import sys

import grpc

from katib_py.wire import api, rpc


class DbManager:
    """with DbManager(url) as manager: … `address` is HOST:PORT."""

    def __init__(self, url):
        self._url = url

    def __enter__(self):
        command = [sys.executable, "-m", "katib_py.observations", "--listen", "127.0.0.1:0"]
        env = {**os.environ, "KATIB_DB_URL": self._url}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        line = self._process.stdout.readline()
        assert line.startswith("listening on "), line
        self.address = line.removesuffix(f" (pid {self._process.pid})\n").split()[-1]
        return self

    def __exit__(self, *problem):
        self.stop()

    def metrics(self, trial):
        """The values that Katib's clients read by a trial's name."""
        with grpc.insecure_channel(self.address) as channel:
            call = rpc.call(channel, "DBManager", "GetObservationLog")
            log = call(api.GetObservationLogRequest(trial_name=trial)).observation_log
        return [entry.metric.value for entry in log.metric_logs]

    def stop(self):
        if self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
        self._process.stdout.close()
