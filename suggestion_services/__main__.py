"""The server as a process: `python -m suggestion_services --listen unix:/path/to/socket`."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Mapping
from typing import Final

from katib_py.core.errors import InvalidInput
from katib_py.wire.process import announce
from suggestion_services.registry import ALGORITHMS, find
from suggestion_services.server import serve

GRACE_SECONDS: Final = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit status. Prints `listening on ADDRESS` once it does."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        server, address = serve(options.listen, _served(options.algorithms))
    except (OSError, InvalidInput) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidInput) else 1
    announce(address, options.parent_pipe, ended)
    ended.wait()
    server.stop(GRACE_SECONDS).wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m suggestion_services", description=__doc__)
    parser.add_argument(
        "--listen", default="127.0.0.1:6789", metavar="HOST:PORT", help="or unix:PATH; default %(default)s"
    )
    parser.add_argument("--algorithms", default="", metavar="A,B", help="serve these alone; default: all")
    parser.add_argument(
        "--parent-pipe", type=int, metavar="FD", help="end when nobody holds the other end of this pipe any more"
    )
    return parser


def _served(names: str) -> Mapping[str, str]:
    """The chosen part of the registry; raises InvalidInput for a name that is not there."""
    if not names:
        return ALGORITHMS
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        find(name, ALGORITHMS)
    return {name: ALGORITHMS[name] for name in chosen}


if __name__ == "__main__":
    sys.exit(main())
