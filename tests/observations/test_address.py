"""What is said of a database's URL that gives no database."""

import sys
from types import SimpleNamespace

import pytest
from sqlalchemy.exc import OperationalError

from katib_py.core.errors import InvalidInput
from katib_py.observations.address import PATIENCE_SECONDS, create_folder, engine_of, shown, unusable
from katib_py.observations.schema import prepare

KINDS = ("sqlite", "postgresql")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("katib.db", "is katib.db, which is no URL: must begin with sqlite:/// or postgresql://; a file is written"),
        ("", "is '', which is no URL"),
        ("sqlite:katib.db", "is sqlite:katib.db, which is no URL"),
        ("oracle://x", "oracle is no database that works here: must begin with sqlite:/// or postgresql://"),
        ("postgres://x", "did you mean postgresql://?"),
        ("sqlite+nodriver:///x", "its driver is not known: sqlite:// alone takes the usual one"),
        ("postgresql://user@host:port/x", "its port is no number"),
        ("sqlite:///x?mood=good", "what follows the ? are no options of its driver"),
    ],
)
def test_a_url_that_gives_no_database_is_refused_with_what_would_be_right(url, words):
    with pytest.raises(InvalidInput) as caught:
        engine_of(url, KINDS)
    (problem,) = caught.value.problems
    assert problem.path == "--db"
    assert words in problem.message
    assert "SQLAlchemy" not in problem.message


@pytest.mark.parametrize(
    ("kind", "module", "package"), [("postgresql", "psycopg", "psycopg[binary]"), ("mysql", "pymysql", "PyMySQL")]
)
def test_a_driver_that_is_not_there_is_named_with_the_package_that_brings_it(monkeypatch, kind, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidInput) as caught:
        engine_of(f"{kind}://me:secret@host/x", (kind,))
    assert f"the module {module}, is not installed: install the package {package}" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("postgresql://me:secret@host/x", "postgresql://me:***@host/x"),
        ("postgresql://me:secret@host:port/x", "postgresql://me:***@host:port/x"),
        ("me:se:cr@et@host/x", "me:***@host/x"),
        ("postgresql://host/x?password=secret&user=me", "postgresql://host/x?password=***&user=me"),
    ],
)
def test_a_password_is_never_shown(url, safe):
    assert shown(url) == safe


def why(url, error):
    return str(unusable(url, error))


def opened(url):
    """What is said when the tables are made in this database."""
    engine = engine_of(url, KINDS)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the driver raises is put into words
        prepare(engine)
    engine.dispose()
    return why(url, caught.value)


def test_every_answer_names_the_option_and_the_database(tmp_path):
    (tmp_path / "text.db").write_text("no database, but text that is long enough to be looked at" * 10)
    words = opened(f"sqlite:///{tmp_path / 'text.db'}")
    assert words.startswith(f"the database sqlite:///{tmp_path / 'text.db'} (--db, by default $KATIB_HOME/katib.db)")
    assert words.endswith("the file is no SQLite database; name another one, or one that is not there yet")


def test_a_folder_is_no_database_and_a_file_in_it_would_be(tmp_path):
    assert f"this is a folder; name a file in it, such as sqlite:///{tmp_path / 'katib.db'}" in opened(
        f"sqlite:///{tmp_path}"
    )


def test_what_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "katib.db", tmp_path / "file" / "deep" / "katib.db"):
        assert "is no folder; name a file in a folder that you may write to" in opened(f"sqlite:///{path}")


def test_a_folder_that_cannot_be_made_is_named():
    words = opened("sqlite:////proc/nowhere/katib.db")
    assert "/proc/nowhere cannot be made: No such file or directory; name a file in a folder that you may" in words


def test_a_folder_that_may_not_be_written_is_said():
    # Nobody may make a file there, whoever runs the test.
    assert "the file can be neither opened nor made; name a file in a folder that you" in opened("sqlite:////proc/x.db")


def test_a_folder_is_made_for_a_new_file(tmp_path):
    engine = engine_of(f"sqlite:///{tmp_path / 'a' / 'b' / 'katib.db'}", KINDS)
    create_folder(engine)
    assert (tmp_path / "a" / "b").is_dir()


def test_a_host_that_does_not_answer_is_named():
    refused = OperationalError(None, None, Exception("connection refused\n\tIs the server running?"))
    words = why("postgresql://me:secret@host:5433/x", refused)
    assert "host:5433 does not let us in (connection refused); a server must answer there and know this user" in words
    assert "secret" not in words


def test_a_host_is_waited_for_a_few_seconds_unless_the_url_says_otherwise(monkeypatch):
    asked = []

    def connect(**options):
        asked.append(options["connect_timeout"])
        raise TimeoutError

    driver = SimpleNamespace(paramstyle="pyformat", connect=connect, Error=ArithmeticError)
    monkeypatch.setitem(sys.modules, "pymysql", driver)
    for url in ("mysql+pymysql://host/x", "mysql+pymysql://host/x?connect_timeout=3"):
        with pytest.raises(TimeoutError):
            engine_of(url, ("mysql",)).connect()
    assert asked == [PATIENCE_SECONDS, 3]
