"""What is committed below manifests/ is what is generated."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def files(folder):
    return {path.relative_to(folder): path.read_text() for path in folder.rglob("*.yaml")}


def test_the_committed_definitions_are_those_of_the_models(tmp_path):
    subprocess.run([sys.executable, ROOT / "manifests" / "build.py", tmp_path], check=True, cwd=ROOT)
    assert files(tmp_path / "base" / "crds") == files(ROOT / "manifests" / "base" / "crds")
