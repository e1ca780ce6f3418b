import subprocess
import sys
from pathlib import Path

import pytest
from support.environments import find_uv

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """Makes a virtual environment with these packages and returns what runs Python statements in it."""
    uv = find_uv()
    if uv is None:
        pytest.skip("uv is needed to make environments")

    def make(*packages: str, options: tuple[str, ...] = ()):
        folder = tmp_path_factory.mktemp("env")
        python = folder / "bin" / "python"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(python), *options, *packages]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no package index: {done.stderr[-300:]}")

        def run(statements: str) -> str:
            # Elsewhere, so that the repository's folders are not importable by chance.
            done = subprocess.run([python, "-c", statements], check=False, capture_output=True, text=True, cwd=folder)
            assert done.returncode == 0, done.stderr
            return done.stdout

        return run

    return make
