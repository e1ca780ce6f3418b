"""The DBManager as a process: `python -m katib_py.observations --db sqlite:///katib.db`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import grpc

from katib_py.core.errors import InvalidInput, StoreUnavailable
from katib_py.observations.database import connect
from katib_py.observations.server import serve

GRACE_SECONDS: Final = 5.0
IDLE_SECONDS: Final = 60.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit status. Prints `listening on ADDRESS` once it does."""
    options = _parser().parse_args(arguments)
    ended, calls = threading.Event(), _Calls()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        engine = connect(options.db)
        server, address = serve(engine, options.listen, calls)
    except (OSError, InvalidInput, StoreUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return {InvalidInput: 2, StoreUnavailable: 3}.get(type(error), 1)
    print(f"listening on {address}", flush=True)
    if options.parent_pipe is not None:
        watch = (options.parent_pipe, options.until_idle, calls, ended)
        threading.Thread(target=_await_end, args=watch, daemon=True).start()
    ended.wait()
    server.stop(GRACE_SECONDS).wait()
    engine.dispose()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m katib_py.observations", description=__doc__)
    parser.add_argument("--db", required=True, metavar="URL", help="the database, such as sqlite:////path/katib.db")
    parser.add_argument("--listen", default="127.0.0.1:6789", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--parent-pipe", type=int, metavar="FD", help="end when nobody holds the other end of this pipe any more"
    )
    parser.add_argument(
        "--until-idle",
        type=float,
        nargs="?",
        default=0.0,
        const=IDLE_SECONDS,
        metavar="SECONDS",
        help=f"then stay until no call has come for so long (default {IDLE_SECONDS:.0f})",
    )
    return parser


class _Calls(grpc.ServerInterceptor):  # type: ignore[misc]
    """Knows when the last call came."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Let every call pass."""
        self._last = time.monotonic()
        return continuation(details)

    def quiet_seconds(self) -> float:
        """Seconds since the last call, or since the start."""
        return time.monotonic() - self._last


def _await_end(descriptor: int, idle: float, calls: _Calls, ended: threading.Event) -> None:
    while os.read(descriptor, 1 << 10):
        pass
    while (left := idle - calls.quiet_seconds()) > 0:
        if ended.wait(left):
            return
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
