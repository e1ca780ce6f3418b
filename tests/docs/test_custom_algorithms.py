"""The tutorials of docs/custom-algorithms.md, each done as it is written."""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.go_service import build
from support.packages import install
from support.shell import Shell

PAGE = (Path(__file__).parents[2] / "docs" / "custom-algorithms.md").read_text()
FILES = dict(re.findall(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
ADDRESS = "127.0.0.1:6789"


def commands(heading):
    """The katib-py commands below a heading, without their first word."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("katib-py ")]
    return [shlex.split(line)[1:] for line in lines]


@pytest.fixture
def shell(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return Shell(tmp_path)


@pytest.fixture
def start(shell):
    """Starts a server on a free port and writes its address where the page has its own."""
    started = []

    def start(*command):
        process = subprocess.Popen(command, cwd=shell.folder, stdout=subprocess.PIPE, text=True)
        started.append(process)
        address = process.stdout.readline().removeprefix("listening on ").strip()
        config = shell.folder / "katib-config.yaml"
        config.write_text(config.read_text().replace(ADDRESS, address))
        return address

    yield start
    for process in started:
        process.kill()
        process.communicate()


def follow(shell, heading, address):
    lines = commands(heading)
    assert lines
    for line in lines:
        done = shell(*[word.replace(ADDRESS, address) for word in line])
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_has_the_files_that_it_speaks_of():
    assert set(FILES) == {"climb.py", "pyproject.toml", "experiment.yaml", "katib-config.yaml", "loop.py"}


def test_the_class_is_found_by_its_entry_point_and_searches(shell, monkeypatch):
    project = tomllib.loads(FILES["pyproject.toml"])["project"]
    install(shell.folder, project["name"], FILES["climb.py"], **project["entry-points"]["katib_py.algorithms"])
    monkeypatch.setenv("PYTHONPATH", str(shell.folder))
    follow(shell, "In Python", "")
    best = json.loads(shell("get", "experiment", "climb", "-o", "json").stdout)["status"]["currentOptimalTrial"]
    assert float(best["observation"]["metrics"][0]["min"]) < 2


def test_the_class_is_served_in_a_line_tried_and_used(shell, start):
    served = (shell.folder / "climb.py").read_text().replace("serve(Climb())", "serve(Climb(), listen='127.0.0.1:0')")
    (shell.folder / "climb.py").write_text(served)
    follow(shell, "A server in a line", start(sys.executable, "climb.py"))


def test_the_service_in_go_is_built_tried_and_used(shell, start):
    program = build()
    if program is None:
        pytest.skip("there is no Go")
    follow(shell, "In Go", start(program, "-listen", "127.0.0.1:0"))


def test_a_sampler_of_optuna_is_set_as_shown(shell):
    section = PAGE.split("\n## Any sampler of Optuna\n")[1]
    algorithm = re.search(r"^```yaml\nspec:\n(.*?)^```", section, re.MULTILINE | re.DOTALL)[1]
    given = FILES["experiment.yaml"]
    old = given[given.index("  algorithm:") : given.index("  parallelTrialCount:")]
    (shell.folder / "experiment.yaml").write_text(given.replace(old, algorithm))
    done = shell("run", "experiment.yaml")
    assert done.returncode == 0, done.stderr
    assert "20 succeeded" in done.stdout


def test_a_loop_of_ones_own_asks_and_tells(shell, start):
    command = [sys.executable, "-m", "katib_py.cli", "suggestion", "--listen", "127.0.0.1:0"]
    done = subprocess.run(
        [sys.executable, "loop.py", start(*command)],
        cwd=shell.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 0.1
