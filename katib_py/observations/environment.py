"""What the db-manager takes from its environment: Katib's variables for the database, and the key of the tokens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from sqlalchemy import URL

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.names import ENV_DB_URL, ENV_TOKEN_KEY
from katib_py.core.tokens import SHORTEST_KEY
from katib_py.observations.address import EXAMPLE

DRIVER: Final = "DB_NAME"
SKIP: Final = "SKIP_DB_INITIALIZATION"

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+|\d+(?:\.\d+)?")


class Server(NamedTuple):
    """One kind of database in Katib's variables: the prefix of their names, and what they are by default."""

    drivername: str
    prefix: str
    user: str
    host: str
    port: str


SERVERS: Final = {
    "mysql": Server("mysql+pymysql", "KATIB_MYSQL_DB", "root", "katib-mysql", "3306"),
    "postgres": Server("postgresql+psycopg", "KATIB_POSTGRESQL_DB", "katib", "katib-postgres", "5432"),
}
SSL_MODE: Final = "KATIB_POSTGRESQL_SSL_MODE"


def database_url(environ: Mapping[str, str]) -> str | None:
    """The database that the environment names, by KATIB_DB_URL or as Katib does; None where it names none.

    A variable that is set counts even where it is empty, as with Katib. Raises InvalidInput.
    """
    if url := environ.get(ENV_DB_URL):
        return url
    name = environ.get(DRIVER)
    if name is None:
        return None
    if name not in SERVERS:
        raise InvalidInput([Problem(DRIVER, f"is {show(name)}; must be {' or '.join(SERVERS)}")])
    server = SERVERS[name]
    port = environ.get(f"{server.prefix}_PORT", server.port)
    if port and not port.isdecimal():
        raise InvalidInput(
            [Problem(f"{server.prefix}_PORT", f"is {show(port)}; must be a number, such as {server.port}")]
        )
    query = {"sslmode": environ.get(SSL_MODE, "disable")} if name == "postgres" else {}
    url_of = URL.create(
        server.drivername,
        environ.get("DB_USER", server.user) or None,
        environ.get("DB_PASSWORD") or None,
        environ.get(f"{server.prefix}_HOST", server.host) or None,
        int(port) if port else None,
        environ.get(f"{server.prefix}_DATABASE", "katib") or None,
        {key: value for key, value in query.items() if value},
    )
    return url_of.render_as_string(hide_password=False)


def unnamed() -> list[Problem]:
    """What is said where neither the command line nor the environment names a database."""
    return [Problem("--db", f"is not given; must be a URL {EXAMPLE}, or {ENV_DB_URL} or {DRIVER} must be set")]


def source(environ: Mapping[str, str]) -> str:
    """Which variables name the database, for whoever reads that it cannot be used."""
    if environ.get(ENV_DB_URL) or environ.get(DRIVER) not in SERVERS:
        return ENV_DB_URL
    return f"{DRIVER}, DB_USER, DB_PASSWORD and {SERVERS[environ[DRIVER]].prefix}_HOST, …_PORT, …_DATABASE"


def skips_initialization(environ: Mapping[str, str]) -> bool:
    """Whether the tables are only to be checked: Katib's variable is set to anything but "false"."""
    return environ.get(SKIP, "false") != "false"


def token_key(environ: Mapping[str, str]) -> str:
    """The key that tokens are made of; empty where callers need none. Raises InvalidInput for a short one."""
    key = environ.get(ENV_TOKEN_KEY, "")
    if key and len(key) < SHORTEST_KEY:
        problem = f"has {len(key)} characters; must have at least {SHORTEST_KEY}, all of them random"
        raise InvalidInput([Problem(ENV_TOKEN_KEY, problem)])
    return key


def seconds(text: str, option: str) -> float:
    """A duration as Katib's options take it, such as 60s or 1m30s, or a bare number of seconds; raises InvalidInput."""
    if not _DURATION.fullmatch(text):
        raise InvalidInput([Problem(option, f"is {show(text)}; must be a duration, such as 60s or 1m30s")])
    parts = re.findall(r"([\d.]+)(ms|s|m|h)", text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts else float(text)
