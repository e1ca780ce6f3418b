"""What nobody needs any more goes, and nothing else does."""

import asyncio

import pytest
from support.cluster.controllers import Controller, eventually
from support.cluster.experiments import experiment
from support.cluster.played import PlayedJobs
from support.cluster.pushing import Pushing
from support.cluster.stores import stores

from katib_py.backends.k8s.observations import RemoteLogs
from katib_py.backends.k8s.resources import TRIALS
from katib_py.backends.k8s.sweeper import LogSweeper
from katib_py.backends.k8s.trials import Trials
from katib_py.core.objective import Measurement
from katib_py.core.times import from_microseconds
from katib_py.observations.database import connect
from katib_py.observations.log import Run
from katib_py.observations.remote import RemoteLog
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve


def job(trial, owner):
    """The run object of a trial that it is said to belong to."""
    name = trial["metadata"]["name"]
    labels = {"katib.kubeflow.org/trial": name}
    metadata = {"name": name, "labels": labels, "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {**trial["spec"]["runSpec"]["spec"], "suspend": True}}


async def test_what_a_killed_controller_left_is_deleted_though_its_experiment_has_ended(
    api_server, namespace, objects, tmp_path
):
    with Controller(api_server.kubeconfig, tmp_path, namespace) as controller:
        async with PlayedJobs(api_server.kubeconfig, act=Pushing(), namespace=namespace):
            objects.create(experiment(maxTrialCount=1, parallelTrialCount=1))
            await asyncio.to_thread(objects.ended)
            await asyncio.to_thread(eventually, lambda: not objects.jobs())
        controller.kill()
        (trial,) = objects.trials()
        own = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "name": trial["metadata"]["name"]}
        owner = {**own, "uid": trial["metadata"]["uid"], "controller": True}
        api_server.client.post(objects.path("jobs", group="/apis/batch/v1"), job(trial, owner))
        controller.start()
        await asyncio.to_thread(eventually, lambda: not objects.jobs())


@pytest.fixture
async def log(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/log.db")
    prepare(engine)
    server, address = serve(engine, "127.0.0.1:0")
    log = RemoteLog(address)
    yield log
    await log.close()
    server.stop(None).wait()
    engine.dispose()


async def test_the_log_forgets_trials_that_are_gone_whatever_a_late_watch_says(api_server, crds, namespace, log):
    async with stores(api_server, namespace) as made:
        spec = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial"}
        there = api_server.client.post(TRIALS.path(namespace), {**spec, "metadata": {"name": "there"}})
        uids = [there["metadata"]["uid"], "00000000-gone"]
        item = Measurement("acc", "1", from_microseconds(1), 1)
        await log.append([(Run(namespace, "one", uid, "1"), [item]) for uid in uids])
        # Of a watch that has yet to tell of anything.
        trials = Trials(made.api, namespace, print, print, print)
        await LogSweeper(RemoteLogs(log, namespace), trials).sweep()
        assert await log.held(namespace) == {there["metadata"]["uid"]}
