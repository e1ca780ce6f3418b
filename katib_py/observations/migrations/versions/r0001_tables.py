"""The tables as they were when versions began to be noted: the log, its runs, its stops."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

revision = "0001"
down_revision = None

_MYSQL: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}
_C_TEXT = postgresql.TEXT(collation="C")


def _string(length: int) -> sa.String:
    return sa.String(length).with_variant(_C_TEXT, "postgresql")


def _text() -> sa.Text:
    return sa.Text().with_variant(_C_TEXT, "postgresql").with_variant(mysql.LONGTEXT(), "mysql")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "observation_logs",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("trial_uid", _string(64), nullable=False),
        sa.Column("attempt", _string(64), nullable=False),
        sa.Column("metric_name", _string(600), nullable=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("namespace", _string(63), nullable=False),
        sa.Column("trial_name", _string(255), nullable=False),
        sa.Column("time", sa.BigInteger, nullable=False),
        sa.Column("value", _text(), nullable=False),
        sa.UniqueConstraint("trial_uid", "attempt", "metric_name", "position", name="observation_key"),
        sa.Index("observation_trial", "trial_name"),
        sqlite_autoincrement=True,
        **_MYSQL,
    )
    op.create_table(
        "observation_runs",
        sa.Column("trial_uid", _string(64), primary_key=True),
        sa.Column("attempt", _string(64), primary_key=True),
        sa.Column("namespace", _string(63), nullable=False),
        sa.Column("trial_name", _string(255), nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Index("observation_run_name", "trial_name"),
        **_MYSQL,
    )
    op.create_table(
        "observation_stops",
        sa.Column("trial_uid", _string(64), primary_key=True),
        sa.Column("attempt", _string(64), primary_key=True),
        sa.Column("reason", _text(), nullable=False),
        **_MYSQL,
    )
