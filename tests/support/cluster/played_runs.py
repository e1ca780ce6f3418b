"""The runner of the Kubernetes platform on a server whose Jobs are played: a program is what its shell command says."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass

from support.cluster.experiments import GROUP
from support.cluster.played_kinds import KINDS
from support.cluster.stage import Stage

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.runner import KubeRunner
from katib_py.backends.k8s.site import Site
from katib_py.core.defaults import default
from katib_py.core.experiment import Experiment


@dataclass
class PlayedRuns:
    """The runner, what wakes when it has something to report, and the uids of the Trials whose runs it makes."""

    runner: KubeRunner
    wake: asyncio.Event
    uids: dict
    stage: Stage
    cluster: Cluster


@asynccontextmanager
async def played_runs(server, namespace, experiment, names):
    """A runner for the trials of these names, whose objects are there and own their runs."""
    wake = asyncio.Event()
    async with Stage(server, namespace) as stage:
        uids = {name: await _trial(stage, name) for name in names}
        stage.names.add(experiment["metadata"]["name"])
        await stage.play(_shell(stage), KINDS["Job"])
        api = await Api.connect(str(server.kubeconfig))
        cluster = Cluster(api, namespace)
        site = Site.of(default(Experiment.model_validate(experiment)))
        runner = KubeRunner(cluster, site, _nothing, wake.set)
        try:
            yield PlayedRuns(runner, wake, uids, stage, cluster)
        finally:
            await runner.close()
            await cluster.close()
            await api.close()


def _shell(stage):
    async def act(operator, run):
        command = run["spec"]["template"]["spec"]["containers"][0]["command"][-1]
        await operator.set(run, "Running")
        pod = await stage.speak(operator, run)
        for part in (part.strip() for part in command.split(";")):
            if part.startswith("echo "):
                stage.say(pod, part.removeprefix("echo "))
            elif part.startswith("sleep "):
                return
        fails = "exit 1" in command
        await stage.node.end_pod(pod, int(fails))
        await operator.set(run, "Failed" if fails else "Succeeded")
        if "delete" in command:
            path = operator.kind.path(stage.namespace, run["metadata"]["name"])
            await stage.client.delete(path, propagationPolicy="Background")

    return act


async def _trial(stage, name):
    trial = {"apiVersion": "kubeflow.org/v1beta1", "kind": "Trial", "metadata": {"name": name}, "spec": {}}
    path = f"{GROUP}/namespaces/{stage.namespace}/trials"
    return (await stage.client.post(path, trial))["metadata"]["uid"]


async def _nothing(order):
    """Nobody need know of an attempt."""
