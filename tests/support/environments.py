"""Environments of packages that cannot share ours: made once with uv and kept in the user's cache."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support.cluster.binaries import alone, cache_folder


class Unmade(Exception):
    """An environment cannot be made; says why."""


def find_uv():
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv") or os.environ.get("UV")


def environment(name, *packages):
    """The Python of an environment with these packages, which is made where it is missing."""
    wanted = "\n".join((sys.version, *packages))
    folder = cache_folder() / "environments" / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    made = folder / "made"
    if not made.exists():
        with alone(folder):
            if not made.exists():
                _make(folder / "env", packages)
                made.touch()
    return folder / "env" / "bin" / "python"


def _make(folder, packages):
    uv = find_uv()
    if uv is None:
        raise Unmade("uv is needed to make environments: install the dev packages (`python3 start.py test` does)")
    python = folder / "bin" / "python"
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
        [uv, "pip", "install", "--quiet", "--python", python, *packages],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            raise Unmade(f"{' '.join(packages)} cannot be installed: {done.stderr.strip()[-600:]}")
