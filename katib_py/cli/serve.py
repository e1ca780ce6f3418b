"""Commands that become a server: another package's, so this one imports nothing of it."""

from __future__ import annotations

import os
import sys

from katib_py.backends.local.home import Home
from katib_py.core.names import ENV_DB_URL
from katib_py.observations.environment import DRIVER


def suggestion(listen: str, algorithms: str | None) -> None:
    """Become the suggestion server."""
    chosen = ["--algorithms", algorithms] if algorithms else []
    _become("suggestion_services", ["--listen", listen, *chosen])


def db_manager(db: str | None, arguments: list[str], export_katib: bool) -> None:
    """Become the DBManager server."""
    # The URL may hold a password, and no list of processes shows the environment.
    if db is not None or not (os.environ.get(ENV_DB_URL) or DRIVER in os.environ):
        os.environ[ENV_DB_URL] = Home.find(db).db_url
    _become("katib_py.observations", [*arguments, *(["--export-katib"] if export_katib else [])])


def _become(module: str, arguments: list[str]) -> None:
    # What gRPC's own library says of an address comes before our words, in its own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
