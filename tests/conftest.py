"""Databases to keep things in: an SQLite file, and PostgreSQL and MariaDB servers where they are installed."""

import pytest
from hypothesis import settings
from support import mariadb, postgres

import suggestion_services  # noqa: F401 - as in a server, before numpy is loaded: a thread for each call

pytest_plugins = ["support.cluster.fixtures"]

# No test is about time: on a busy machine any example may be slow.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

DATABASES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc):
    """Tests marked `every_database` are run on each, and on what the mark names; all others on SQLite."""
    mark = metafunc.definition.get_closest_marker("every_database")
    if "db_url" in metafunc.fixturenames and mark is not None:
        metafunc.parametrize("db_url", (*DATABASES, *mark.args), indirect=True)


@pytest.fixture(scope="session")
def postgres_server():
    programs = postgres.find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed; Debian's package is postgresql")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb_server():
    programs = mariadb.find_programs()
    if programs is None:
        pytest.skip("no MariaDB server is installed; Debian's package is mariadb-server")
    with mariadb.running(programs) as server:
        yield server


@pytest.fixture
def new_database(request, tmp_path):
    """Makes a database of this kind and returns its URL."""

    def make(kind):
        if kind == "sqlite":
            return f"sqlite:///{tmp_path / 'katib.db'}"
        return request.getfixturevalue({"postgresql": "postgres_server", "mariadb": "mariadb_server"}[kind]).database()

    return make


@pytest.fixture
def db_url(request, new_database):
    """The URL of a new database."""
    return new_database(getattr(request, "param", "sqlite"))
