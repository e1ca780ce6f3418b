"""Experiments on the simulated platform: the real engine and the real suggestion service, a virtual clock."""

from collections.abc import Mapping

from katib_py.backends.simulated.runner import SimulatedRun
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment


def sphere(parameters: Mapping[str, str]) -> float:
    return sum((float(value) - 0.3) ** 2 for value in parameters.values())


def curve(parameters: Mapping[str, str], trial: str) -> SimulatedRun:
    """Ten steps of a minute; the loss of a step is the trial's own level."""
    level = sphere(parameters)
    return SimulatedRun(600.0, [(60.0 * step, "loss", level) for step in range(1, 11)])


def experiment(name="demo", **spec) -> Experiment:
    space = {"min": "0", "max": "1"}
    document = {
        "metadata": {"name": name, "uid": "6f3c8a52-0000-4000-8000-000000000000"},
        "spec": {
            "maxTrialCount": 12,
            "parallelTrialCount": 3,
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "algorithm": {"algorithmName": "random"},
            "parameters": [{"name": "x", "parameterType": "double", "feasibleSpace": space}],
            "trialTemplate": {
                "primaryContainerName": "main",
                "trialParameters": [{"name": "x", "reference": "x"}],
                "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"},
            },
            **spec,
        },
    }
    return default(Experiment.model_validate(document))
