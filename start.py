"""Sets katib-py up in .venv, with nothing but Python 3.11 or newer, and runs something in it.

python3 start.py               a search on scikit-learn's digits, from its search space to its best trial
python3 start.py test          the tests
python3 start.py COMMAND …     anything else, such as `katib-py get experiments`
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / "bin"
READY = VENV / "katib-py-ready"
COMMANDS = {
    (): ["katib-py", "run", "trial_templates/sklearn_digits/experiment.yaml"],
    ("test",): ["pytest"],
}


def main() -> None:
    """Set up where needed, then become the command."""
    if sys.version_info < (3, 11):  # noqa: UP036 - whoever has an older one starts exactly this file
        sys.exit(f"katib-py needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    os.chdir(ROOT)
    lock = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in ("uv.lock", "pyproject.toml"))).hexdigest()
    if not READY.exists() or READY.read_text() != lock:
        set_up()
        READY.write_text(lock)
    arguments = tuple(sys.argv[1:])
    if arguments[:1] in {("-h",), ("--help",), ("help",)}:
        sys.exit(__doc__)
    command = COMMANDS.get(arguments[:1], list(arguments[:1])) + list(arguments[1:])
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}", "VIRTUAL_ENV": str(VENV)}
    if not arguments:
        print("To use katib-py yourself afterwards: source .venv/bin/activate", file=sys.stderr)
    try:
        os.execvpe(command[0], command, environment)
    except FileNotFoundError:
        sys.exit(f"There is no command {command[0]!r}.\n\n{__doc__}")


def set_up() -> None:
    """Make .venv, install uv there, and what uv.lock names."""
    if not (BIN / "python").exists():
        try:
            import ensurepip  # noqa: F401 - Debian ships Python without it
        except ImportError:
            version = ".".join(map(str, sys.version_info[:2]))
            sys.exit(f"This Python lacks ensurepip. On Debian or Ubuntu: apt install python{version}-venv")
        print("Setting up .venv …", file=sys.stderr)
        venv.create(VENV, with_pip=True)
    if not (BIN / "uv").exists():
        subprocess.run([BIN / "python", "-m", "pip", "install", "--quiet", "uv>=0.9"], check=True)
    # --inexact keeps uv itself, which the lock does not name.
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(VENV)}
    subprocess.run([BIN / "uv", "sync", "--frozen", "--inexact", "--quiet"], check=True, env=environment)


if __name__ == "__main__":
    main()
