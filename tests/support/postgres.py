"""A PostgreSQL server of the tests' own: on a Unix socket in a new folder, gone with the process that started it."""

import getpass
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from support.shell import wait_for

# Nothing here outlives the tests, so nothing waits for a disk.
DATABASE = "katib"
SETTINGS = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=50")


@dataclass
class Server:
    """A running server. Every `database` is a new schema: a real one takes half a second."""

    folder: Path
    user: str

    def __post_init__(self):
        self._numbers = count()

    def url(self, database, schema="public"):
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}&options=-csearch_path%3D{schema}"

    def database(self):
        """The URL of a new database."""
        schema = f"katib_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {schema}", DATABASE)
        return self.url(DATABASE, schema)

    def execute(self, statement, database="postgres"):
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))
        engine.dispose()
        return True

    @contextmanager
    def away(self):
        """Nobody can connect."""
        self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
        self.cut()
        yield
        self.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")

    def cut(self):
        """End every connection."""
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{DATABASE}'")

    def answers(self):
        try:
            return self.execute("SELECT 1")
        except OperationalError:
            return False


def find_programs():
    """The folder of initdb and postgres: Debian keeps them out of PATH."""
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    if pg_config := shutil.which("pg_config"):
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        folders.append(Path(told.stdout.strip()))
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))[::-1]
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


@contextmanager
def running(programs):
    """A server while the context lasts."""
    # TMPDIR may be long, and the path of a socket must not be.
    folder, data, user = Path(tempfile.mkdtemp(prefix="katib-pg-", dir="/tmp")), "data", _user()
    shutil.chown(folder, user)
    given = {"cwd": folder, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, **_identity(user)}
    encoding = ("--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--auth=trust", f"--username={user}")
    subprocess.run([programs / "initdb", "--pgdata", data, *encoding], check=True, **given)
    settings = [part for setting in SETTINGS for part in ("-c", setting)]
    command = [programs / "postgres", "-D", data, "-k", folder, *settings]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stderr=log, **given)
    server = Server(folder, user)
    try:
        wait_for(server.answers)
        server.execute(f"CREATE DATABASE {DATABASE}")
        yield server
    finally:
        process.send_signal(signal.SIGQUIT)  # which waits for nobody who is connected
        process.wait()
        shutil.rmtree(folder)


def _user():
    """PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return getpass.getuser()
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _identity(user):
    if os.geteuid() != 0:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}
