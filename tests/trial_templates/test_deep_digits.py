"""The PyTorch and Keras programs, where their extras are: `.ci/extras` installs them and runs this."""

import subprocess
import sys

import pytest

from katib_py.collectors.kinds import Place, collector_for
from katib_py.core.experiment import MetricsCollectorSpec
from katib_py.core.objective import ObjectiveSpec

pytestmark = pytest.mark.extras


def accuracies(module: str, *options: str) -> list[float]:
    command = [sys.executable, "-m", f"trial_templates.{module}.train", *options]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [float(line.split("accuracy=")[1]) for line in lines]


@pytest.mark.parametrize("module", ["torch_digits", "keras_digits"])
def test_a_network_learns_and_a_bad_choice_does_not(module):
    assert max(accuracies(module, "--epochs=10")) > 0.9
    assert max(accuracies(module, "--epochs=3", "--lr=0.000001")) < 0.4


@pytest.mark.parametrize(("module", "prefix"), [("torch_digits", ""), ("keras_digits", "validation/epoch_")])
def test_its_events_are_its_metrics(module, prefix, tmp_path):
    printed = accuracies(module, "--epochs=3", f"--events={tmp_path}")
    objective = ObjectiveSpec(type="maximize", objective_metric_name=f"{prefix}accuracy")
    source = {"fileSystemPath": {"path": "/events", "kind": "Directory"}}
    spec = MetricsCollectorSpec.model_validate({"collector": {"kind": "TensorFlowEvent"}, "source": source})

    found = collector_for(spec, objective)(Place(tmp_path, tmp_path)).read(None, final=True)

    assert [float(each.value) for each in found] == pytest.approx(printed, abs=1e-5)
