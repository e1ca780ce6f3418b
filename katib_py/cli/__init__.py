"""The command line: `katib-py …`."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run a command; what is wrong with the call itself exits with 2."""
    if sys.argv[1:2] == ["collector"]:
        # A training waits for its collector, so this one command does not wait for the others to be loaded.
        os.execv(sys.executable, [sys.executable, "-m", "katib_py.collectors", *sys.argv[2:]])
    # Rich and typer would format typing errors as tracebacks with panels; plain words serve logs and people alike.
    os.environ.setdefault("TYPER_USE_RICH", "0")
    from katib_py.cli.app import app

    app()
