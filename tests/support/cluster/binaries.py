"""The programs of a Kubernetes control plane: built once from their published Go modules and kept in the user's cache.

python -m support.cluster.binaries [NAME …]     from the folder tests: builds what is missing
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "cluster" / "tools"
VERSION_FLAG = "-X k8s.io/component-base/version.gitVersion"
ENVTEST = "KUBEBUILDER_ASSETS"  # where setup-envtest puts etcd and kube-apiserver


@dataclass(frozen=True)
class Program:
    """A command and the go.mod, a folder of `tools`, that names its version."""

    name: str
    module: str
    package: str

    @property
    def version(self):
        """That of its go.mod; a program of our own has none."""
        text = (TOOLS / self.module / "go.mod").read_text()
        # The module that the package is in is the longest required one that its path starts with.
        required = re.findall(r"^(?:require)?\s*(\S+) (v\d\S*)", text, re.MULTILINE)
        versions = [(len(path), version) for path, version in required if self.package.startswith(path)]
        return max(versions)[1] if versions else "v1"

    @property
    def path(self):
        return cache_folder() / f"{self.module}-{self.version.removeprefix('v')}" / self.name


def kubernetes(name):
    return Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}")


PROGRAMS = {
    program.name: program
    for program in (
        Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        Program("pause", "pause", "."),
        Program("helm", "helm", "helm.sh/helm/v3/cmd/helm"),
        *map(
            kubernetes,
            ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"),
        ),
    )
}
API_SERVER = ("etcd", "kube-apiserver")


class Missing(Exception):
    """A program is not there and cannot be built; says what to install."""


def cache_folder():
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "katib-py"


@cache
def find(name):
    """The path of a program, which is built where it is missing."""
    if given := _given(name):
        return given
    program = PROGRAMS[name]
    if not program.path.exists():
        with alone(program.path.parent):
            if not program.path.exists():
                _build(program)
    return program.path


def absent(names):
    """Those that `find` would have to build."""
    return [name for name in names if not _given(name) and not PROGRAMS[name].path.exists()]


def _given(name):
    """From setup-envtest; any kubectl or helm does."""
    assets = Path(os.environ.get(ENVTEST) or "/nowhere") / name
    if assets.exists():
        return assets
    installed = shutil.which(name) if name in {"kubectl", "helm"} else None
    return Path(installed) if installed else None


def find_go():
    """The Go of the dev packages, else the one of the machine."""
    beside = Path(sys.executable).parent / "go"
    return str(beside) if beside.exists() else shutil.which("go")


@contextmanager
def alone(folder):
    """Test workers that run side by side build once: one at a time in here."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(program):
    go = find_go()
    if go is None:
        raise Missing(
            f"{program.name} is not built and there is no Go: install the dev packages (`python3 start.py test` does), "
            f"or set {ENVTEST} to a folder that has it"
        )
    unfinished = program.path.with_name(f".{program.name}")
    flags = f"-s -w {VERSION_FLAG}={program.version}"
    command = [go, "build", "-trimpath", f"-ldflags={flags}", "-o", unfinished, program.package]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    done = subprocess.run(
        command, cwd=TOOLS / program.module, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Missing(f"{program.name} cannot be built: {done.stderr.strip()[-600:]}")
    unfinished.rename(program.path)


def main(names):
    for name in names or PROGRAMS:
        print(find(name), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
