"""The command line: `katib-py …`."""

from __future__ import annotations

import os


def main() -> None:
    """Run a command; what is wrong with the call itself exits with 2."""
    # Rich and typer would format typing errors as tracebacks with panels; plain words serve logs and people alike.
    os.environ.setdefault("TYPER_USE_RICH", "0")
    from katib_py.cli.app import app

    app()
