"""Events of experiments and trials: repeated ones counted, of each object the newest kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, select

from katib_py.backends.local.tables import EVENTS, INSERTS
from katib_py.controller.ports import Event

EVENTS_KEPT: Final = 100  # of one object, the newest
MESSAGE_BYTES: Final = 1024  # as Kubernetes cuts an Event's message; of more PostgreSQL makes no index


def _upsert_event(dialect: str) -> Any:
    """A repeated event is counted, as Kubernetes does."""
    statement = INSERTS[dialect](EVENTS)
    same = [EVENTS.c.experiment, EVENTS.c.kind, EVENTS.c.name, EVENTS.c.type, EVENTS.c.reason, EVENTS.c.message]
    return statement.on_conflict_do_update(
        index_elements=same, set_={"last": statement.excluded.last, "count": EVENTS.c.count + 1}
    )


_UPSERT_EVENTS: Final = {dialect: _upsert_event(dialect) for dialect in INSERTS}


def record_events(experiment: int, events: Iterable[Event], connection: Connection) -> None:
    """Write events of the experiment with this id down."""
    statement = _UPSERT_EVENTS[connection.dialect.name]
    rows = [
        {
            "experiment": experiment,
            "kind": event.kind,
            "name": event.name,
            "type": event.type.value,
            "reason": event.reason,
            "message": _cut(event.message),
            "first": event.time,
            "last": event.time,
            "count": 1,
        }
        for event in events
    ]
    connection.execute(statement, rows)
    for kind, name in {(event.kind, event.name) for event in events}:
        connection.execute(_FORGET_EVENTS, {"owner": experiment, "of_kind": kind, "of_name": name})


def _cut(message: str) -> str:
    return message.encode(errors="replace")[:MESSAGE_BYTES].decode(errors="ignore")


_OF_OBJECT: Final = (
    EVENTS.c.experiment == bindparam("owner"),
    EVENTS.c.kind == bindparam("of_kind"),
    EVENTS.c.name == bindparam("of_name"),
)
_OLDEST_KEPT: Final = (
    select(EVENTS.c.last).where(*_OF_OBJECT).order_by(EVENTS.c.last.desc()).offset(EVENTS_KEPT - 1).limit(1)
)
_FORGET_EVENTS: Final = EVENTS.delete().where(
    *_OF_OBJECT, EVENTS.c.last < func.coalesce(_OLDEST_KEPT.scalar_subquery(), 0.0)
)
