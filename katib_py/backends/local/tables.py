"""The tables of the local platform: experiments, their trials, events, leases and slots.

An assignment that is no trial yet is a row of `trials` in state UNUSED, so becoming a trial is one update.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite

AnyRow: TypeAlias = Row[*tuple[Any, ...]]

# INSERT … ON CONFLICT is the same in both dialects, under two names.
INSERTS: Final[dict[str, Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

METADATA: Final = MetaData()
UNUSED: Final = "Unused"

# SQLite numbers rows only where the key's type is INTEGER itself.
_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")


def _owner() -> Column[int]:
    return Column("experiment", _NUMBER, ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True)


EXPERIMENTS: Final = Table(
    "experiments",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("namespace", String(63), nullable=False),
    Column("name", String(253), nullable=False),
    Column("created", Float, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("object", Text, nullable=False),
    Column("status", Text, nullable=False),
    UniqueConstraint("namespace", "name"),
    sqlite_autoincrement=True,
)

# One row per experiment. `finished` numbers the finished trials; `assigned` is what a writer must have seen last.
SUGGESTIONS: Final = Table(
    "suggestions",
    METADATA,
    _owner(),
    Column("requests", Integer, nullable=False),
    Column("assigned", Integer, nullable=False),
    Column("finished", Integer, nullable=False),
    Column("ended", Boolean, nullable=False),
    Column("failed", Text, nullable=False),
    Column("settings", Text, nullable=False),
)

TRIALS: Final = Table(
    "trials",
    METADATA,
    _owner(),
    Column("number", Integer, primary_key=True),
    Column("name", String(253), nullable=False),
    Column("state", String(20), nullable=False),
    Column("finish_order", Integer),
    Column("body", Text, nullable=False),
    UniqueConstraint("experiment", "name"),
    # Rows without a finish order are the live ones: the same index finds them.
    UniqueConstraint("experiment", "finish_order"),
    Index("trials_by_name", "name"),
    sqlite_with_rowid=False,
)

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("experiment", _NUMBER, ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("name", String(253), nullable=False),
    Column("type", String(10), nullable=False),
    Column("reason", String(128), nullable=False),
    Column("message", String(1024), nullable=False),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("experiment", "kind", "name", "type", "reason", "message"),
)

LEASES: Final = Table(
    "leases",
    METADATA,
    _owner(),
    Column("host", String(253), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
)

# What runs hold of the machine: `unit` is a GPU's name or a port's number, `amount` thousandths of a CPU.
SLOTS: Final = Table(
    "slots",
    METADATA,
    Column("run", String(1024), primary_key=True),
    Column("resource", String(10), primary_key=True),
    Column("unit", String(64), primary_key=True),
    Column("amount", Integer, nullable=False),
    Column("host", String(253), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
)
