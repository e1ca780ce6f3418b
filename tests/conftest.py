"""Databases to keep things in: an SQLite file, and a PostgreSQL server where one is installed."""

import pytest
from hypothesis import settings
from support import postgres

pytest_plugins = ["support.cluster.fixtures"]

# No test is about time: on a busy machine any example may be slow.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

DATABASES = ("sqlite", "postgresql")


def pytest_generate_tests(metafunc):
    """Tests marked `every_database` are run on each; all others on SQLite."""
    if "db_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("every_database"):
        metafunc.parametrize("db_url", DATABASES, indirect=True)


@pytest.fixture(scope="session")
def postgres_server():
    programs = postgres.find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed; Debian's package is postgresql")
    with postgres.running(programs) as server:
        yield server


@pytest.fixture
def new_database(request, tmp_path):
    """Makes a database of this kind and returns its URL."""

    def make(kind):
        if kind == "postgresql":
            return request.getfixturevalue("postgres_server").database()
        return f"sqlite:///{tmp_path / 'katib.db'}"

    return make


@pytest.fixture
def db_url(request, new_database):
    """The URL of a new database."""
    return new_database(getattr(request, "param", "sqlite"))
