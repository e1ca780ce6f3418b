"""A MariaDB server of the tests' own: on a Unix socket in a new folder, gone with the process that started it."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError
from support.shell import wait_for

# Nothing here outlives the tests, so nothing waits for a disk.
SETTINGS = (
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-doublewrite=0",
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
)
USER = "root"  # of the server, not of the machine


@dataclass
class Server:
    """A server that runs, or is away for a while."""

    program: str
    folder: Path
    port: int  # of the loopback; most tests use the socket
    process: subprocess.Popen | None = None
    _numbers: count = field(default_factory=count)

    @property
    def socket(self):
        return str(self.folder / "socket")

    def url(self, database="mysql", user=USER, password=None):
        url = URL.create("mysql+pymysql", user, password, database=database, query={"unix_socket": self.socket})
        return url.render_as_string(hide_password=False)

    def database(self):
        """The URL of a new database."""
        name = f"katib_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def execute(self, *statements, database="mysql"):
        engine = create_engine(self.url(database), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()
        return True

    def cut(self):
        """End every connection."""
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            others = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'root'"
            for number in connection.scalars(text(others)).all():
                connection.execute(text(f"KILL {number}"))
        engine.dispose()

    @contextmanager
    def away(self):
        """Nobody can connect."""
        self.stop()
        yield
        self.start()

    def start(self):
        own = (f"--datadir={self.folder / 'data'}", f"--socket={self.socket}", f"--port={self.port}")
        command = [self.program, *SETTINGS, *own, f"--pid-file={self.folder / 'pid'}"]
        with open(self.folder / "log", "a") as log:
            self.process = subprocess.Popen(command, stderr=log, **_given(self.folder))
        wait_for(self.answers)

    def stop(self):
        self.process.kill()  # what was committed is in the operating system's hands
        self.process.wait()

    def answers(self):
        try:
            return self.execute("SELECT 1")
        except DBAPIError:
            return False


def find_programs():
    """mariadbd, which Debian keeps out of a user's PATH, and what makes its first files; None where one is missing."""
    path = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
    programs = [shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db")]
    return programs if all(programs) else None


@contextmanager
def running(programs):
    """A server while the context lasts."""
    # TMPDIR may be long, and the path of a socket must not be.
    folder = Path(tempfile.mkdtemp(prefix="katib-db-", dir="/tmp"))
    shutil.chown(folder, _user())
    server = Server(programs[0], folder, _free_port())
    options = (
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
    )
    subprocess.run([programs[1], *options], check=True, **_given(folder), stderr=subprocess.DEVNULL)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def _given(folder):
    """How its programs are run: it refuses to be run by root."""
    given = {"cwd": folder, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    if os.geteuid() != 0:
        return given
    user = _user()
    return {**given, "user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": ()}


def _user():
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    return "mysql" if "mysql" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
