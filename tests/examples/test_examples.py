"""Every example is valid and ends as the table in examples/README.md says."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from katib_py.cli.input import read_input

EXAMPLES = Path(__file__).parents[2] / "examples"
ROW = re.compile(r"\| \[(.+\.yaml)\]\(\1\) \| .+ \| (\w+)(?:, (\d+) trials)? \|")
ENDS = {
    file: (reason, int(trials) if trials else None)
    for file, reason, trials in ROW.findall((EXAMPLES / "README.md").read_text())
}
AFTER = {"warm-start.yaml": "tpe.yaml"}
TEMPLATES = sorted(EXAMPLES.parent.glob("trial_templates/*/experiment.yaml"))
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))


def katib_py(home: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "katib_py.cli", *arguments]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env={**os.environ, "KATIB_HOME": str(home)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def run(home: Path, file: Path) -> dict:
    """The finished Experiment's status."""
    return json.loads(katib_py(home, "run", str(file), "-o", "json").splitlines()[-1])["status"]


def end(status: dict) -> str:
    return status["conditions"][-1]["reason"]


def test_the_table_names_every_example():
    assert sorted(ENDS) == FILES


@pytest.mark.parametrize("file", FILES)
def test_an_example_is_named_like_its_file_and_says_what_it_shows(file):
    text = (EXAMPLES / file).read_text()

    assert text.startswith("# ")
    assert next(yaml.safe_load_all(text))["metadata"]["name"] == file.removesuffix(".yaml")


@pytest.mark.parametrize("file", [EXAMPLES / file for file in FILES] + TEMPLATES, ids=str)
def test_an_experiment_is_valid_to_the_letter(file):
    read_input(file, None, strict=True)


@pytest.mark.parametrize("file", FILES)
def test_an_example_ends_as_the_table_says(file, tmp_path):
    reason, trials = ENDS[file]
    if file in AFTER:
        run(tmp_path, EXAMPLES / AFTER[file])

    status = run(tmp_path, EXAMPLES / file)

    assert end(status) == reason
    assert trials is None or status["trials"] == trials
    assert status.get("trialsFailed", 0) == status.get("trialMetricsUnavailable", 0) == 0
    assert status.get("trialsEarlyStopped", 0) > 0 or "-stop" not in file
    metric = status["currentOptimalTrial"]["observation"]["metrics"][0]
    assert float(metric["min"]) < 0.5 if metric["name"] == "loss" else float(metric["max"]) > 0.9


def test_the_best_are_run_again_with_other_seeds(tmp_path):
    confirmed = run(tmp_path, EXAMPLES / "confirm.yaml")["confirmed"]

    assert [entry["repeats"] for entry in confirmed] == [3, 3]
    assert all(entry["low"] < entry["mean"] < entry["high"] for entry in confirmed)


@pytest.mark.parametrize("file", ["long-running-resume.yaml", "from-volume-resume.yaml"])
def test_a_finished_search_is_continued_when_its_budget_is_raised(file, tmp_path):
    edited = tmp_path / file
    edited.write_text((EXAMPLES / file).read_text())
    before = run(tmp_path, edited)
    edited.write_text(edited.read_text().replace("maxTrialCount: 6", "maxTrialCount: 10"))

    after = run(tmp_path, edited)

    assert end(after) == "ExperimentMaxTrialsReached"
    assert after["trials"] == 10
    assert set(before["succeededTrialList"]) < set(after["succeededTrialList"])


def test_a_trial_knows_its_name_labels_and_annotations(tmp_path):
    best = run(tmp_path, EXAMPLES / "trial-metadata.yaml")["currentOptimalTrial"]["bestTrialName"]

    log = katib_py(tmp_path, "logs", best)

    assert f"trial default/{best}, run as batch/v1 Job, belongs to vision (vision@example.org)" in log
