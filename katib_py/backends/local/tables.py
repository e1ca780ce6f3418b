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
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite

from katib_py.observations.database import TEXT, string

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
    Column("uid", string(36), nullable=False, unique=True),
    Column("namespace", string(63), nullable=False),
    Column("name", string(253), nullable=False),
    Column("created", Float, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("object", TEXT, nullable=False),
    Column("status", TEXT, nullable=False),
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
    Column("failed", TEXT, nullable=False),
    Column("settings", TEXT, nullable=False),
)

TRIALS: Final = Table(
    "trials",
    METADATA,
    _owner(),
    Column("number", Integer, primary_key=True),
    Column("name", string(253), nullable=False),
    Column("state", string(20), nullable=False),
    Column("finish_order", Integer),
    Column("body", TEXT, nullable=False),
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
    Column("kind", string(63), nullable=False),
    Column("name", string(253), nullable=False),
    Column("type", string(10), nullable=False),
    Column("reason", string(128), nullable=False),
    Column("message", string(1024), nullable=False),
    Column("first", Float, nullable=False),
    Column("last", Float, nullable=False),
    Column("count", Integer, nullable=False),
    UniqueConstraint("experiment", "kind", "name", "type", "reason", "message"),
)

LEASES: Final = Table(
    "leases",
    METADATA,
    _owner(),
    Column("host", string(253), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
    Column("heartbeat", Float, nullable=False),
)

# Who drives an experiment, for queries that want to know by the way.
HOLDER: Final = (LEASES.c.host, LEASES.c.pid, LEASES.c.started)

# What runs hold of the machine: `unit` is a GPU's name or a port's number, `amount` thousandths of a CPU.
SLOTS: Final = Table(
    "slots",
    METADATA,
    Column("run", string(1024), primary_key=True),
    Column("resource", string(10), primary_key=True),
    Column("unit", string(64), primary_key=True),
    Column("amount", Integer, nullable=False),
    Column("host", string(253), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started", Float, nullable=False),
)
