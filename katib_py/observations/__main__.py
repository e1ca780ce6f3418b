"""The DBManager as a process: `python -m katib_py.observations --db sqlite:///katib.db`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import Final

from katib_py.core.errors import InvalidInput, StoreUnavailable
from katib_py.observations.database import connect
from katib_py.observations.server import serve

GRACE_SECONDS: Final = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit status. Prints `listening on ADDRESS` once it does."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        engine = connect(options.db)
        server, address = serve(engine, options.listen)
    except (OSError, InvalidInput, StoreUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return {InvalidInput: 2, StoreUnavailable: 3}.get(type(error), 1)
    # Whoever gave us a pipe reads this in a log that others may write to as well.
    whose = "" if options.parent_pipe is None else f" (pid {os.getpid()})"
    print(f"listening on {address}{whose}", flush=True)
    if options.parent_pipe is not None:
        threading.Thread(target=_await_end, args=(options.parent_pipe, ended), daemon=True).start()
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
    return parser


def _await_end(descriptor: int, ended: threading.Event) -> None:
    while os.read(descriptor, 1 << 10):
        pass
    ended.set()


if __name__ == "__main__":
    sys.exit(main())
