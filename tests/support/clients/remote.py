"""An official client in an environment of its own, used from a test: remote.get_experiment("demo")."""

import json
import os
import subprocess
from pathlib import Path

HERE = Path(__file__).parent


class Raised(Exception):
    """The call raised; `kind` is the name of the exception's class there, `cause` what lay behind it."""

    def __init__(self, kind, message, cause):
        super().__init__(f"{kind}: {message} ({cause})")
        self.kind = kind
        self.message = message
        self.cause = cause


class Remote:
    """Each method is a call of the script that runs there, one at a time; its results are plain values."""

    def __init__(self, python, script, log, *arguments, **variables):
        command = [python, "-u", HERE / script, *map(str, arguments)]
        with open(log, "ab") as errors:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **variables},
            )
        self._log = Path(log)

    def __enter__(self):
        return self

    def __exit__(self, *problem):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def printed(self):
        """What the client has printed and logged."""
        return self._log.read_text()

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*positional, **named):
            asked = json.dumps({"call": name, "positional": positional, "named": named})
            self._process.stdin.write(asked + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
            assert line, f"the client is gone:\n{self.printed()}"
            reply = json.loads(line)
            if "raised" in reply:
                raise Raised(reply["raised"], reply["message"], reply["cause"])
            return reply["result"]

        return call
