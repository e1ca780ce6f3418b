"""Commands that become a server: another package's, so this one imports nothing of it."""

from __future__ import annotations

import os
import sys

from katib_py.backends.local.home import Home


def suggestion(listen: str, algorithms: str | None) -> None:
    """Become the suggestion server."""
    chosen = ["--algorithms", algorithms] if algorithms else []
    _become("suggestion_services", ["--listen", listen, *chosen])


def db_manager(listen: str, db: str | None) -> None:
    """Become the DBManager server."""
    _become("katib_py.observations", ["--listen", listen, "--db", Home.find(db).db_url])


def _become(module: str, arguments: list[str]) -> None:
    # What gRPC's own library says of an address comes before our words, in its own.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])
