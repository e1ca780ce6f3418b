import subprocess
from pathlib import Path

import pytest

import trial_templates
from katib_py.core.documents import read_documents
from katib_py.core.parse import parse_experiment

FILE = Path(trial_templates.__file__).parent / "shell_oneliner" / "experiment.yaml"


def height(x: str, y: str) -> str:
    (document,) = read_documents(FILE.read_text())
    spec = parse_experiment(document).experiment.spec.trial_template.trial_spec
    command = spec["spec"]["template"]["spec"]["containers"][0]["command"]
    values = {"${trialParameters.x}": x, "${trialParameters.y}": y}
    for placeholder, value in values.items():
        command = [part.replace(placeholder, value) for part in command]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize(("x", "y"), [("-3.14159265", "12.275"), ("3.14159265", "2.275"), ("9.42477796", "2.475")])
def test_branin_is_lowest_at_three_places(x, y):
    assert height(x, y) == "height=0.397887\n"


def test_numbers_in_scientific_notation_are_numbers_to_awk():
    assert height("1e-05", "0") == height("0.00001", "0")
