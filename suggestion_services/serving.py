"""A server of somebody's algorithm in a line, and servers that run until they are told to end."""

from __future__ import annotations

import logging
import re
import signal
import threading
from types import TracebackType
from typing import Any, Final, Self

from katib_py.core.errors import InvalidInput, Problem
from katib_py.wire.process import announce
from suggestion_services.contract import Algorithm
from suggestion_services.installed import complaint
from suggestion_services.server import serve as start

GRACE_SECONDS: Final = 5.0
ADDRESS: Final = "127.0.0.1:6789"


class Serving:
    """A server that runs; ended by `stop`, or with the `with` block."""

    def __init__(self, server: Any, address: str) -> None:
        self._server = server
        self.address = address

    def stop(self) -> None:
        """Take no more calls, and wait for those that are under way."""
        self._server.stop(GRACE_SECONDS).wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def serve(algorithm: type[Algorithm] | Algorithm, name: str = "", listen: str = ADDRESS, block: bool = True) -> Serving:
    """Serve one algorithm, named after its class unless told otherwise, until the process is told to end.

    Without `block` it returns at once. Raises InvalidInput for what is no algorithm and for text that is no address,
    OSError where the address cannot be had.
    """
    kind = algorithm if isinstance(algorithm, type) else type(algorithm)
    if words := complaint(kind.__name__, algorithm):
        raise InvalidInput([Problem("algorithm", words)])
    server, address = start(listen, {name or name_of(kind): algorithm})
    if block:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        until_told(server, address)
    return Serving(server, address)


def until_told(server: Any, address: str, parent_pipe: int | None = None) -> None:
    """Print `listening on ADDRESS`, and end the server when a signal or the end of the parent says so."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    announce(address, parent_pipe, ended)
    ended.wait()
    server.stop(GRACE_SECONDS).wait()


def name_of(kind: type[Any]) -> str:
    """The name of a class as an Experiment writes it: HillClimb is hill-climb."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", kind.__name__).lower()
