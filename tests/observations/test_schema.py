"""The tables: made, taken over from earlier programs, brought up to date by one of many, kept from older programs."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

from katib_py.backends.local.database import Database
from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.observations.database import connect, metadata, writing
from katib_py.observations.log import Run, SqlLog
from katib_py.observations.mariadb import VERSION_TABLE
from katib_py.observations.schema import SCHEMA, Schema, bring_up, check, prepare

RUN = Run("default", "trial-a", "uid-a", "1")
ITEM = Measurement("loss", "0.5", datetime(2026, 1, 1, tzinfo=UTC), 1)

NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.batch_alter_table("observation_runs") as batch:
        batch.add_column(sa.Column("note", sa.String(10)))
"""


@pytest.fixture
def engine(db_url):
    """A database without any tables."""
    engine = connect(db_url)
    yield engine
    engine.dispose()


@pytest.fixture
def later(tmp_path) -> Schema:
    """The schema of a later katib-py."""
    folder = tmp_path / "migrations"
    shutil.copytree(str(resources.files("katib_py.observations") / "migrations"), folder)
    (folder / "versions" / "r0002_note.py").write_text(NEXT)
    return Schema(metadata, "0002", str(folder))


def start(url, schema):
    engine = connect(url)
    prepare(engine, schema)
    engine.dispose()


def version(engine):
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))


def columns(engine):
    return {column["name"] for column in inspect(engine).get_columns("observation_runs")}


def forget_version(engine):
    with engine.begin() as connection:
        connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))


def test_the_newest_revision_is_the_one_that_the_program_names():
    folder = Path(str(resources.files("katib_py.observations") / "migrations"))
    assert ScriptDirectory(str(folder)).get_current_head() == SCHEMA.head


@pytest.mark.every_database("mariadb")
def test_a_new_database_has_what_the_migrations_make(engine):
    config = Config()
    config.set_main_option("script_location", SCHEMA.migrations)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []


@pytest.mark.every_database("mariadb")
def test_tables_that_are_there_stay_as_they_are(engine):
    for _ in range(2):
        prepare(engine)
        SqlLog(engine).append([(RUN, [ITEM])])
    assert SqlLog(engine).read("uid-a") == [ITEM]
    assert version(engine) == SCHEMA.head


@pytest.mark.every_database
def test_tables_without_a_version_are_of_the_first_one(engine, later):
    prepare(engine)
    SqlLog(engine).append([(RUN, [ITEM])])
    forget_version(engine)
    prepare(engine, later)
    assert (version(engine), "note" in columns(engine)) == ("0002", True)
    assert SqlLog(engine).read("uid-a") == [ITEM]


@pytest.mark.parametrize("db_url", ["mariadb"], indirect=True)
def test_tables_that_were_not_finished_are_finished(engine):
    prepare(engine)
    forget_version(engine)
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE observation_stops"))
    prepare(engine)
    check(engine)


@pytest.mark.every_database("mariadb")
def test_older_tables_are_brought_up_to_date_by_one_of_those_that_start_at_once(engine, later, db_url):
    prepare(engine)
    SqlLog(engine).append([(RUN, [ITEM])])
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: start(db_url, later), range(3)))
    assert (version(engine), "note" in columns(engine)) == ("0002", True)
    assert SqlLog(engine).read("uid-a") == [ITEM]


@pytest.mark.every_database("mariadb")
def test_newer_tables_are_left_alone(engine, later):
    prepare(engine)
    prepare(engine, later)
    with pytest.raises(StoreUnavailable, match=r"a newer katib-py \(revision 0002; this one knows up to 0001\)"):
        prepare(engine)
    assert version(engine) == "0002"


def test_what_lacks_alembic_cannot_use_older_tables_and_says_so(engine, later, monkeypatch):
    prepare(engine)
    monkeypatch.setitem(sys.modules, "alembic", None)
    with pytest.raises(StoreUnavailable, match="install the package alembic"):
        prepare(engine, later)
    assert version(engine) == "0001"


@pytest.mark.every_database("mariadb")
def test_where_nothing_may_be_made_the_tables_are_looked_at(engine, later):
    with pytest.raises(StoreUnavailable, match="its tables are not there, and SKIP_DB_INITIALIZATION is set"):
        check(engine)
    assert inspect(engine).get_table_names() == []
    prepare(engine)
    check(engine)
    with pytest.raises(StoreUnavailable, match="of revision 0001, not 0002"):
        check(engine, later)


@pytest.mark.every_database("mariadb")
def test_a_table_that_lacks_a_column_is_noticed_too(engine):
    prepare(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE observation_runs DROP COLUMN started"))
    with pytest.raises(DBAPIError, match="started"):
        check(engine)


@pytest.mark.every_database
def test_the_local_platform_makes_and_notes_the_same_tables(db_url, engine):
    database = Database(db_url)
    database.look_now(lambda _: None)
    database.close()
    assert version(engine) == SCHEMA.head


@pytest.mark.every_database
def test_the_local_platform_leaves_newer_tables_alone(db_url, engine, later):
    prepare(engine, later)
    database = Database(db_url)
    with pytest.raises(StoreUnavailable, match="newer katib-py"):
        database.look_now(lambda _: None)
    database.close()
    assert "experiments" not in inspect(engine).get_table_names()


def test_a_transaction_of_the_callers_makes_the_tables_or_none(engine):
    with writing(engine).begin() as connection:
        bring_up(connection)
        connection.rollback()
    assert inspect(engine).get_table_names() == []
