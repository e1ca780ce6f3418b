"""What is committed below manifests/ is what is generated."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_committed_definitions_are_those_of_the_models(tmp_path):
    subprocess.run([sys.executable, ROOT / "manifests" / "build.py", tmp_path], check=True, cwd=ROOT)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert path.read_text() == (ROOT / "manifests" / path.relative_to(tmp_path)).read_text(), path.name
