"""The near end of a pipe to a program of peers/."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

DRIVER: Final = Path(__file__).parent / "peers" / "driver.py"


class PeerFailed(Exception):  # noqa: N818 - reads as what it says
    """A peer answered with an error, or ended."""


class Pipe:
    """A running driver; it ends when its input does."""

    def __init__(self, python: Path, start: dict[str, Any]) -> None:
        # One thread each, so that their seconds compare; no accelerator is looked for.
        quiet = {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "", "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [str(python), str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **quiet},
            text=True,
        )
        self.started = self.call({"do": "start", **start})

    def call(self, message: dict[str, Any]) -> dict[str, Any]:
        """The answer to a message; raises PeerFailed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the line below says how it ended
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": f"ended with {self._process.wait()}"}
        if "error" in answer:
            self.close()
            raise PeerFailed(f"{message['do']}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End the program."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
