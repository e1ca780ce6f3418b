"""The URL of a database: which ones work, and what is wrong with one, in the user's words."""

from __future__ import annotations

import re
import sqlite3
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Engine, create_engine, exc, make_url

from katib_py.core.errors import InvalidInput, Problem, StoreUnavailable
from katib_py.core.parse import nearest

KINDS: Final = ("sqlite", "postgresql", "mysql", "mariadb")
# Both are one dialect with two names; the driver is the one that our extra brings.
DRIVERS: Final = {"mysql": "mysql+pymysql", "mariadb": "mysql+pymysql", "mariadb+pymysql": "mysql+pymysql"}
OPTION: Final = "--db, by default $KATIB_HOME/katib.db"
EXAMPLE: Final = "such as sqlite:///katib.db"
PATIENCE_SECONDS: Final = 10  # for a host that does not answer; the drivers' own would be minutes

# A server that has gone while somebody waits for its answer is noticed within half a minute, as libpq is told.
GONE: Final = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4, "tcp_user_timeout": 30_000}

# A reader sees one moment of the database, as it does with SQLite.
READING: Final = {kind: {"isolation_level": "REPEATABLE READ"} for kind in ("postgresql", "mysql")}

# The package that brings a driver's module.
PACKAGES: Final = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "pymysql": "PyMySQL",
    "MySQLdb": "mysqlclient",
}
ELSEWHERE: Final = "name a file in a folder that you may write to"
SQLITE_WORDS: Final = {
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; name another one, or one that is not there yet",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; name another one, or put a copy in its place",
    sqlite3.SQLITE_CANTOPEN: f"the file can be neither opened nor made; {ELSEWHERE}",
    sqlite3.SQLITE_READONLY: f"the file or its folder may not be written; {ELSEWHERE}",
    sqlite3.SQLITE_BUSY: "another process keeps it locked; try again when that has ended",
}


def engine_of(url: str, kinds: Collection[str]) -> Engine:
    """An engine for a database of one of these kinds; raises InvalidInput for a URL that cannot give one."""
    parsed = _parsed(url, kinds)
    kind = parsed.get_backend_name()
    if kind not in kinds:
        meant = nearest(kind, list(kinds))
        hint = f"did you mean {meant}://?" if meant else f"must begin with {_beginnings(kinds)}, {EXAMPLE}"
        raise _refused(url, f"; {kind} is no database that works here: {hint}")
    try:
        # SQLAlchemy warns where it passes over an option; whoever wrote it wanted something.
        with warnings.catch_warnings(category=exc.SAWarning, action="error"):
            parsed = parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))
            engine = create_engine(parsed, connect_args=_patience(parsed), **READING.get(parsed.get_backend_name(), {}))
    except exc.NoSuchModuleError:
        raise _refused(url, f"; its driver is not known: {kind}:// alone takes the usual one") from None
    except ImportError as error:
        raise _refused(url, _missing(error)) from None
    except (exc.ArgumentError, exc.SAWarning, TypeError, ValueError):
        raise _refused(url, "; what follows the ? are no options of its driver: leave them out") from None
    if engine.dialect.is_async:
        raise _refused(url, f"; its driver {engine.dialect.driver} is an asynchronous one: write {kind}:// alone")
    return engine


def shown(url: str) -> str:
    """The URL as it may be shown: without a password, even where it cannot be read."""
    try:
        text = make_url(url).render_as_string(hide_password=True)
    except (exc.ArgumentError, ValueError):
        text = re.sub(r"^((?:[^:/@]*://)?[^:/@]*):.*@", r"\1:***@", url) or "''"
    return re.sub(r"([?&](?:password|passwd)=)[^&]*", r"\1***", text)


def url_of(engine: Engine) -> str:
    """The engine's URL, with its password."""
    return engine.url.render_as_string(hide_password=False)


def unusable(url: str, error: Exception, source: str = OPTION) -> StoreUnavailable:
    """What kept the database from being used, an error of the driver or of the system, and what would be right.

    `source` says where the URL comes from.
    """
    return StoreUnavailable(f"the database {shown(url)} ({source}) cannot be used: {why(url, error)}")


def why(url: str, error: Exception) -> str:
    """The cause of an error of the driver or of the system in one line, and what would be right."""
    return _why(make_url(url), error)


def create_folder(engine: Engine) -> None:
    """Make the folder that an SQLite file is to be in; raises OSError."""
    if (path := _file(engine.url)) is not None:
        path.parent.mkdir(parents=True, exist_ok=True)


def _parsed(url: str, kinds: Collection[str]) -> URL:
    try:
        return make_url(url)
    except exc.ArgumentError:
        file = f"; a file is written sqlite:///{url}" if url and ":" not in url else f", {EXAMPLE}"
        raise _refused(url, f", which is no URL: must begin with {_beginnings(kinds)}{file}") from None
    except ValueError:
        raise _refused(url, "; its port is no number: must be like postgresql://USER@HOST:5432/NAME") from None


def _refused(url: str, why: str) -> InvalidInput:
    return InvalidInput([Problem("--db", f"is {shown(url)}{why}")])


def _beginnings(kinds: Collection[str]) -> str:
    return " or ".join(f"{kind}:///" if kind == "sqlite" else f"{kind}://" for kind in kinds)


def _missing(error: ImportError) -> str:
    if error.name is None:
        return f"; its driver cannot be loaded: {error}"
    package = PACKAGES.get(error.name, error.name)
    where = f"install the package {package}, or name an SQLite file, {EXAMPLE}"
    return f"; its driver, the module {error.name}, is not installed: {where}"


def _patience(url: URL) -> dict[str, int]:
    """The limits to the wait for a host, where the URL sets none and the driver knows such limits."""
    driver = url.get_driver_name()
    known = {"connect_timeout": PATIENCE_SECONDS} if driver in {name.lower() for name in PACKAGES} else {}
    if driver in {"psycopg", "psycopg2"}:
        known |= GONE
    return {name: value for name, value in known.items() if name not in url.query}


def _file(url: URL) -> Path | None:
    """The file of an SQLite database; None for one in memory and for other databases."""
    name = url.database
    return Path(name) if url.get_backend_name() == "sqlite" and name and name != ":memory:" else None


def _why(url: URL, error: Exception) -> str:
    file = _file(url)
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename or file} is no folder; {ELSEWHERE}"
    if isinstance(error, OSError):
        return f"{error.filename or file} cannot be made: {error.strerror or error}; {ELSEWHERE}"
    if file is not None and file.is_dir():
        return f"this is a folder; name a file in it, such as sqlite:///{file / 'katib.db'}"
    cause = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        return SQLITE_WORDS.get(code, str(cause))
    first = next(iter(str(cause.args[-1] if cause.args else cause).strip().splitlines()), type(cause).__name__)
    if isinstance(error, exc.OperationalError) and error.statement is None:
        host = f"{url.host or 'the local socket'}{f':{url.port}' if url.port else ''}"
        return (
            f"{host} does not let us in ({first}); a server must answer there and know this user, password and database"
        )
    return first
