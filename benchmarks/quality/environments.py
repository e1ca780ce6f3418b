"""Every peer in an environment of its own, made by uv when it is first wanted."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Kept between runs and shared by the checkouts that name the same folder.
ENVIRONMENTS: Final = Path(os.environ.get("KATIB_PY_PEERS", ".katib/benchmarks/environments"))


class NotInstalled(Exception):  # noqa: N818 - reads as what it says
    """A peer cannot be installed on this machine."""


@dataclass(frozen=True)
class Environment:
    """What is installed. `until` is a date after which nothing on the index counts, for peers that others broke."""

    requirements: tuple[str, ...]
    overrides: tuple[str, ...] = ()
    until: str = ""

    def folder(self, root: Path) -> Path:
        """Where it is kept; another content has another folder."""
        name = self.requirements[0].partition("=")[0].partition("[")[0]
        return root / f"{name}-{hashlib.sha256(repr(self).encode()).hexdigest()[:8]}"


COCO: Final = Environment(("coco-experiment==2.8.2",))
OPTUNA: Final = Environment(("optuna==5.0.0", "scipy", "cmaes", "torch"))
PEERS: Final = {
    "optuna-tpe": OPTUNA,
    "optuna-univariate-tpe": OPTUNA,
    "optuna-gp": OPTUNA,
    "optuna-cmaes": OPTUNA,
    "hyperopt-tpe": Environment(("hyperopt==0.3.0", "setuptools<81")),
    "skopt-gp": Environment(("scikit-optimize==0.10.2",)),
    # Its newest release does not run with any jax that came half a year after it.
    "vizier-gp": Environment(("google-vizier[jax]==0.1.24",), until="2025-03-01"),
    # It names a release of GPy that today's compilers refuse.
    "hebo": Environment(("hebo==0.3.6",), overrides=("gpy>=1.13",), until="2025-03-01"),
}


def python_of(environment: Environment, root: Path) -> Path:
    """The environment's Python, installed with its packages unless it is; raises NotInstalled."""
    folder = environment.folder(root).absolute()
    python = folder / "bin" / "python"
    if (folder / "ready").exists():
        return python
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if uv is None:
        raise NotInstalled("uv is not there; python3 start.py brings it")
    shutil.rmtree(folder, ignore_errors=True)
    _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
    overrides = folder / "overrides.txt"
    overrides.write_text("\n".join(environment.overrides))
    command = [uv, "pip", "install", "--quiet", "--python", str(python), "--overrides", str(overrides)]
    _run([*command, *(("--exclude-newer", environment.until) if environment.until else ()), *environment.requirements])
    (folder / "ready").touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise NotInstalled(f"{' '.join(command[1:3])}: {lines[0]}")
