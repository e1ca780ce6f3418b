"""A run and what is told of it late: of the object before, or of one that is gone."""

import asyncio

import pytest
from support.cluster.experiments import experiment
from support.cluster.played import PlayedJobs

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.resources import JOBS, TRIALS
from katib_py.backends.k8s.runner import KubeRunner
from katib_py.backends.k8s.site import Site
from katib_py.controller.ports import RunOrder, RunPhase
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment
from katib_py.core.trial import Assignment, TrialRecord

NAME = "demo-a"
FAILED = {"conditions": [{"type": "Failed", "status": "True"}]}


class Runs:
    """The runs of one trial on a cluster, and what they report."""

    def __init__(self, cluster, namespace, uid):
        self.cluster, self.woken, self.told = cluster, asyncio.Event(), []
        template = experiment()["spec"]["trialTemplate"]["trialSpec"]
        metadata = {"name": NAME, "namespace": namespace, "labels": {"katib.kubeflow.org/trial": NAME}}
        self.document = {**template, "metadata": metadata}
        site = Site.of(default(Experiment.model_validate(experiment())))
        self.runner = KubeRunner(cluster, site, _nothing, self.woken.set)
        self.order = RunOrder(TrialRecord(Assignment(NAME, 0, ()), 1.0, uid=uid), uid, self.document)

    async def report(self):
        """The next report with a phase."""
        while True:
            self.told += [report for report in self.runner.reports() if report.phase is not None]
            if self.told:
                return self.told.pop(0)
            async with asyncio.timeout(60):
                await self.woken.wait()
            self.woken.clear()

    @property
    def follower(self):
        (follower,) = self.cluster._followers.values()
        return follower


async def _nothing(order):
    """Nobody need know of the attempt."""


@pytest.fixture
async def runs(api_server, crds, namespace):
    trial = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {"name": NAME}}
    uid = api_server.client.post(TRIALS.path(namespace), trial)["metadata"]["uid"]
    api = await Api.connect(str(api_server.kubeconfig))
    cluster = Cluster(api, namespace)
    made = Runs(cluster, namespace, uid)
    yield made
    await made.runner.close()
    await cluster.close()
    await api.close()


async def test_news_of_another_object_of_the_trial_changes_nothing(runs, api_server, namespace):
    runs.runner.start(runs.order)
    assert (await runs.report()).phase is RunPhase.RUNNING
    stored = api_server.client.get(JOBS.path(namespace, NAME))
    earlier = {**stored, "metadata": {**stored["metadata"], "uid": "earlier"}, "status": FAILED}
    runs.follower.object_changed(JOBS, earlier)
    runs.follower.object_gone(JOBS, "earlier")
    async with PlayedJobs(api_server.kubeconfig, namespace=namespace):
        ended = await runs.report()
    assert ended.phase is RunPhase.ENDED
    assert ended.document["metadata"]["uid"] == stored["metadata"]["uid"]


async def test_news_of_an_object_of_another_kind_changes_nothing(runs, api_server, namespace):
    runs.runner.start(runs.order)
    assert (await runs.report()).phase is RunPhase.RUNNING
    stored = api_server.client.get(JOBS.path(namespace, NAME))
    other = JOBS._replace(group="ray.io", plural="rayjobs", kind="RayJob")
    runs.follower.object_changed(other, {**stored, "status": FAILED})
    runs.follower.object_gone(other, stored["metadata"]["uid"])
    async with PlayedJobs(api_server.kubeconfig, namespace=namespace):
        ended = await runs.report()
    assert ended.document["status"]["succeeded"] == 1


async def test_an_object_that_went_while_it_was_being_read_is_gone(runs, api_server, namespace):
    document = Site.of(default(Experiment.model_validate(experiment()))).object(runs.document, runs.order.trial_uid, 1)
    stored = api_server.client.post(JOBS.path(namespace), document)
    get = runs.cluster.api.get

    async def slow(*arguments):
        found = await get(*arguments)
        api_server.client.delete(JOBS.path(namespace, NAME), propagationPolicy="Background")
        runs.follower.object_gone(JOBS, stored["metadata"]["uid"])
        return found

    runs.cluster.api.get = slow
    runs.runner.start(runs.order)
    assert (await runs.report()).phase is RunPhase.RUNNING
    assert (await runs.report()).phase is RunPhase.LOST
