from __future__ import annotations

import grpc
import pytest

from katib_py.wire import api, rpc
from suggestion_services.registry import ALGORITHMS
from suggestion_services.server import serve


@pytest.fixture
def channel(tmp_path):
    """To a server of every algorithm."""
    server, address = serve(f"unix:{tmp_path}/socket", ALGORITHMS)
    with grpc.insecure_channel(address, options=rpc.CHANNEL_OPTIONS) as channel:
        yield channel
    server.stop(None).wait()


@pytest.fixture
def experiment():
    """An experiment with one int parameter of ten values."""
    message = api.Experiment(name="experiment", uid="uid")
    space = api.FeasibleSpace(min="1", max="10")
    message.spec.parameter_specs.parameters.add(name="x", parameter_type=api.INT, feasible_space=space)
    message.spec.objective.objective_metric_name = "loss"
    message.spec.algorithm.algorithm_name = "random"
    return message


@pytest.fixture
def trial():
    def trial(name, x, loss="1", condition=api.TrialStatus.SUCCEEDED):
        message = api.Trial(name=name)
        message.spec.parameter_assignments.assignments.add(name="x", value=str(x))
        message.status.condition = condition
        message.status.observation.metrics.add(name="loss", value=loss)
        return message

    return trial
