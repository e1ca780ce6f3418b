import subprocess
import sys

import pytest

from trial_templates.sklearn_digits.models import MODELS, Choice, defaults
from trial_templates.sklearn_digits.train import validate

# For each model a choice inside experiment.yaml's space that reads well, and one that does not.
GOOD_AND_BAD = {
    "svm": (Choice(regularization=0.2, gamma=0.15), Choice(regularization=3, gamma=1)),
    "forest": (Choice(size=100), Choice(size=8)),
    "boosting": (Choice(size=16, learning_rate=0.2), Choice(size=8, learning_rate=0.001)),
    "mlp": (Choice(size=128, learning_rate=0.005, regularization=0.01), Choice(size=8, learning_rate=0.3)),
}


@pytest.mark.parametrize("model", MODELS)
def test_each_model_gains_by_a_good_choice(model):
    (good, low), (bad, high) = (validate(MODELS[model](choice)) for choice in GOOD_AND_BAD[model])

    assert good > bad + 0.005
    assert low < high


def test_a_chosen_model_reads_better_than_every_default():
    chosen, _ = validate(MODELS["svm"](GOOD_AND_BAD["svm"][0]))

    assert chosen > max(validate(model)[0] for model in defaults(seed=0).values())


def test_a_trial_prints_its_metrics():
    command = [sys.executable, "-m", "trial_templates.sklearn_digits.train", "--model=forest", "--size=8"]

    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()

    assert [line.split("=")[0] for line in lines[-2:]] == ["accuracy", "loss"]
