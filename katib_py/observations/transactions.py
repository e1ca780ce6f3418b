"""Transactions on behalf of callers over the network: made again while the database comes back, errors as statuses."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, NoReturn, TypeVar

import grpc
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, InterfaceError, OperationalError, SQLAlchemyError, TimeoutError

from katib_py.observations.address import url_of, why
from katib_py.observations.database import writing

T = TypeVar("T")

PATIENCE_SECONDS: Final = 5.0  # a server's restart; whoever calls may try again after that
PAUSE_SECONDS: Final = 0.1

PASSING: Final = (OperationalError, InterfaceError, TimeoutError)


class Transactions:
    """One database. Work given here may be done twice, where the first commit's answer was lost: it must not matter."""

    def __init__(self, engine: Engine, patience: float = PATIENCE_SECONDS) -> None:
        self.engine = engine
        self._writing = writing(engine)
        # A file does not come back; the wait for its lock is SQLite's own.
        self._patience = patience if engine.dialect.name != "sqlite" else 0.0

    def write(self, context: Any, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction that excludes other writers."""
        return self._do(self._writing, context, work)

    def read(self, context: Any, work: Callable[[Connection], T]) -> T:
        """Do `work`, which sees one moment of the database."""
        return self._do(self.engine, context, work)

    def give_up(self, error: SQLAlchemyError, context: Any) -> NoReturn:
        """UNAVAILABLE, which callers retry, where the database may answer later; else a refusal for good."""
        words = why(url_of(self.engine), error)
        if isinstance(error, PASSING):
            context.abort(grpc.StatusCode.UNAVAILABLE, f"the database does not answer: {words}")
        code = grpc.StatusCode.INVALID_ARGUMENT if isinstance(error, DataError) else grpc.StatusCode.INTERNAL
        context.abort(code, f"the database refuses: {words}")
        raise AssertionError("abort raises")

    def _do(self, engine: Engine, context: Any, work: Callable[[Connection], T]) -> T:
        left = context.time_remaining()
        # Half of what the caller waits, so that it still hears why.
        end = time.monotonic() + (self._patience if left is None else min(self._patience, left / 2))
        while True:
            try:
                with engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if not isinstance(error, PASSING) or time.monotonic() >= end:
                    self.give_up(error, context)
                time.sleep(PAUSE_SECONDS)
