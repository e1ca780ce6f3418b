"""The official budget edit: the whole object, read and sent back with its resourceVersion, never tried again."""

import pytest
from support.cluster.admitting import admitting
from support.cluster.beside import beside
from support.cluster.controllers import eventually
from support.cluster.experiments import experiment, last
from support.cluster.played import PlayedJobs, lasts
from support.cluster.pushing import Pushing


@pytest.fixture(scope="module")
def controller(api_server, crds, namespace, folder):
    with admitting(api_server, folder / "controller", namespace) as process:
        yield process


@pytest.fixture(scope="module")
def pushing(api_server, namespace):
    """Jobs that last a moment and push their metric."""

    async def enter(stack):
        act = Pushing(then=lasts(0.3))
        await stack.enter_async_context(PlayedJobs(api_server.kubeconfig, act, namespace))

    with beside(enter):
        yield


def test_a_hundred_edits_during_a_run_are_taken(objects, katib, controller, pushing):
    objects.create(experiment("edited", maxTrialCount=1000, parallelTrialCount=3))
    eventually(lambda: objects.experiment("edited").get("status", {}).get("trialsSucceeded"))
    refused = []
    import time
    t=time.time()
    for number in range(100):
        try:
            katib.edit_experiment_budget("edited", max_trial_count=1001 + number, parallel_trial_count=2 + number % 3)
        except Exception as e:
            refused.append(e.cause[:200].replace("\n"," "))
    print(time.time()-t, len(refused), set(refused), objects.experiment("edited")["status"]["trials"], objects.experiment("edited")["metadata"])
