"""The DBManager as a process: `python -m katib_py.observations --db sqlite:///katib.db`.

The database may also be named by the environment, which keeps its password from the list of processes: by KATIB_DB_URL,
or by Katib's own variables (DB_NAME, DB_USER, DB_PASSWORD, KATIB_MYSQL_DB_HOST, …).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import Final

from katib_py.core.errors import InvalidInput, StoreUnavailable
from katib_py.observations import environment
from katib_py.observations.readiness import Database, open_database
from katib_py.observations.schema import give_back
from katib_py.observations.server import serve
from katib_py.wire.process import announce

GRACE_SECONDS: Final = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to end; the exit status. Prints `listening on ADDRESS` once it does."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        return _give_back(options, ended) if options.export_katib else _serve(options, ended)
    except (OSError, InvalidInput, StoreUnavailable) as error:
        print(f"error: {error}", file=sys.stderr)
        return {InvalidInput: 2, StoreUnavailable: 3}.get(type(error), 1)


def _serve(options: argparse.Namespace, ended: threading.Event) -> int:
    key = environment.token_key(os.environ)
    with open_database(_database(options), ended) as engine:
        if engine is None:
            return 0
        server, address = serve(engine, options.listen, token_key=key)
        announce(address, options.parent_pipe, ended)
        ended.wait()
        server.stop(GRACE_SECONDS).wait()
    return 0


def _give_back(options: argparse.Namespace, ended: threading.Event) -> int:
    with open_database(_database(options)._replace(prepared=False), ended) as engine:
        if engine is None:
            return 1
        count = give_back(engine)
    print(f"Katib's table observation_logs is there again, with {count} measurements; start Katib's db-manager now")
    return 0


def _database(options: argparse.Namespace) -> Database:
    url = options.db or environment.database_url(os.environ)
    if url is None:
        raise InvalidInput(environment.unnamed())
    source = "--db" if options.db else environment.source(os.environ)
    patience = environment.seconds(options.connect_timeout, "--connect-timeout")
    return Database(url, source, patience, environment.skips_initialization(os.environ))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m katib_py.observations", description=__doc__)
    parser.add_argument("--db", metavar="URL", help="the database, such as sqlite:////path/katib.db")
    parser.add_argument("--listen", default="127.0.0.1:6789", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument(
        "--connect-timeout", default="60s", metavar="DURATION", help="how long to wait for the database at the start"
    )
    parser.add_argument("--export-katib", action="store_true", help="write Katib's own table, and end")
    parser.add_argument(
        "--parent-pipe", type=int, metavar="FD", help="end when nobody holds the other end of this pipe any more"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
