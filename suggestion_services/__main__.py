"""The server as a process: `python -m suggestion_services --listen unix:/path/to/socket`."""

from __future__ import annotations

import argparse
import logging
import sys

from katib_py.core.errors import InvalidInput
from suggestion_services.installed import Offer, with_offers
from suggestion_services.registry import ALGORITHMS, find
from suggestion_services.server import serve
from suggestion_services.serving import ADDRESS, until_told


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit status. Prints `listening on ADDRESS` once it does."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        server, address = serve(options.listen, _served(options.algorithms))
    except (OSError, InvalidInput) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, InvalidInput) else 1
    until_told(server, address, options.parent_pipe)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m suggestion_services", description=__doc__)
    parser.add_argument("--listen", default=ADDRESS, metavar="HOST:PORT", help="or unix:PATH; default %(default)s")
    parser.add_argument("--algorithms", default="", metavar="A,B", help="serve these alone; default: all")
    parser.add_argument(
        "--parent-pipe", type=int, metavar="FD", help="end when nobody holds the other end of this pipe any more"
    )
    return parser


def _served(names: str) -> dict[str, str | Offer]:
    """Ours and those that other packages bring, or the chosen ones; raises InvalidInput for one that cannot be had."""
    known, warnings = with_offers(ALGORITHMS)
    for words in warnings:
        logging.getLogger("suggestion_services").warning("%s", words)
    if not names:
        return known
    chosen = [name.strip() for name in names.split(",")]
    for name in chosen:
        find(name, known)
    return {name: known[name] for name in chosen}


if __name__ == "__main__":
    sys.exit(main())
