"""What an experiment uses beyond Katib's protocol, from its spec to its trials."""

import grpc
import pytest
from support.simulation import experiment, sphere
from support.third_party import Suggestion, serving

from katib_py.backends.simulated.platform import SimulatedPlatform
from katib_py.backends.simulated.runner import from_function
from katib_py.core.errors import Rejected

SPACE = {"min": "0", "max": "1"}
SWITCHED = {
    "parameters": [
        {"name": "x", "parameterType": "double", "feasibleSpace": SPACE},
        {"name": "more", "parameterType": "int", "feasibleSpace": SPACE},
        {"name": "y", "parameterType": "double", "feasibleSpace": SPACE},
    ],
    "parameterConditions": {"y": {"parent": "more", "values": ["1"]}},
    "parameterConstraints": ["x >= y"],
}


class OneService:
    """Every algorithm at one address."""

    def __init__(self, address):
        self._channel = grpc.aio.insecure_channel(address)

    async def channel(self, experiment):
        return self._channel

    async def early_stopping(self, experiment):
        return None

    async def close(self):
        await self._channel.close()


async def test_trials_have_their_active_parameters_and_satisfy_the_constraints(simulate):
    platform = simulate()
    await platform.run(experiment(**SWITCHED))
    trials = await platform.store.finished(("default", "demo"), 0, 100)
    assert len(trials) == 12
    for values in (dict(trial.assignment.parameters) for trial in trials):
        assert set(values) == ({"x", "more", "y"} if values["more"] == "1" else {"x", "more"})
        assert "y" not in values or float(values["x"]) >= float(values["y"])


@pytest.mark.parametrize("key", ["parameterConditions", "parameterConstraints"])
async def test_a_service_that_does_not_understand_a_key_is_refused(key):
    given = experiment(parameters=SWITCHED["parameters"], **{key: SWITCHED[key]})
    with serving(Suggestion=Suggestion(["0.5"])) as address:
        platform = SimulatedPlatform(from_function("loss", sphere), OneService(address))
        with pytest.raises(Rejected, match=f"spec.{key}: is not understood by the algorithm random"):
            await platform.run(given)
