"""Trials that measure, as early stopping sees them."""

import math

from katib_py.core.early_stopping import Course
from katib_py.core.experiment import AlgorithmSpec, Setting
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.trial import TrialState

LOSS = ObjectiveSpec(
    type=ObjectiveType.MINIMIZE, objective_metric_name="loss", additional_metric_names=("gradient", "memory")
)
ACCURACY = ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy")
NAN = math.nan


def succeeded(*values: float) -> Course:
    return Course(values, TrialState.SUCCEEDED)


def failed(*values: float) -> Course:
    return Course(values, TrialState.FAILED)


def running(*values: float) -> Course:
    return Course(values, TrialState.RUNNING)


def settings(algorithm: str, **values: str) -> AlgorithmSpec:
    return AlgorithmSpec(
        algorithm_name=algorithm,
        algorithm_settings=tuple(Setting(name=name, value=value) for name, value in values.items()),
    )
