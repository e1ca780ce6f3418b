"""Every command that the documentation shows can be run as it stands."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ELSEWHERE = {"kubernetes.md", "takeover.md", "custom-algorithms.md"}  # other tests run their commands
FILES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "examples" / "README.md"]
PAGES = [page for page in FILES if page.exists() and page.name not in ELSEWHERE]
BIN = Path(sys.executable).parent
POSTGRES = "postgresql://katib@localhost/katib"


def commands(page):
    """The katib-py commands of a page's sh blocks, comments stripped."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = [re.sub(r"\s+#.*", "", line).strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.startswith("katib-py ") and not line.endswith("my-experiment.yaml")]


def run_each(lines, folder):
    env = {**os.environ, "KATIB_HOME": str(folder), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for line in lines:
        done = subprocess.run(
            shlex.split(line), cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_their_order(page, tmp_path):
    run_each([line for line in commands(page) if POSTGRES not in line], tmp_path)


def test_the_commands_on_postgresql_run_too(tmp_path, new_database):
    lines = [line for line in commands(ROOT / "docs" / "running.md") if POSTGRES in line]
    url = new_database("postgresql")
    assert lines
    run_each([line.replace(POSTGRES, url) for line in lines], tmp_path)


def test_the_readme_shows_the_two_commands_that_the_gate_uses():
    readme, gate = (ROOT / "README.md").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "python3 start.py  " in readme
    assert "python3 start.py test" in readme
    assert "python3 start.py test" in gate


def test_the_map_of_the_readme_is_the_first_line_of_each_package():
    rows = dict(re.findall(r"^\| `([a-z_/]+)/` \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE))
    packages = {folder: text for folder, text in rows.items() if (ROOT / folder / "__init__.py").exists()}
    assert packages
    for folder, text in packages.items():
        first = (ROOT / folder / "__init__.py").read_text().splitlines()[0].strip('"').rstrip(".")
        assert first.lower() == text.lower().replace("`", "`"), folder


def test_the_program_of_the_running_page_is_searched_as_shown(tmp_path):
    page = (ROOT / "docs" / "running.md").read_text()
    program = re.search(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    given = re.search(r"^```yaml\n(apiVersion.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "train.py").write_text(program[1])
    (tmp_path / "mine.yaml").write_text(given[1])
    env = {**os.environ, "KATIB_HOME": str(tmp_path / "home"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["katib-py", "run", "mine.yaml"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "20 succeeded" in done.stdout
