"""A KubeStore for tests, and what a user does to its experiment meanwhile."""

import asyncio
from contextlib import asynccontextmanager

from support.cluster.client import Refused
from support.cluster.experiments import JOB, experiment

from katib_py.backends.k8s.api import Api
from katib_py.backends.k8s.event_writer import EventWriter
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.metrics import Metrics
from katib_py.backends.k8s.resources import EXPERIMENTS, SUGGESTIONS, TRIALS
from katib_py.backends.k8s.store import KubeStore
from katib_py.backends.k8s.trial_writer import Manual
from katib_py.collectors.filters import filter_problem
from katib_py.controller.ports import Key
from katib_py.core.load import load_experiment
from katib_py.core.repair import repaired
from katib_py.core.template import compile_template
from katib_py.core.validate import Checks

SPACE = {"lr": ("double", {"min": "0", "max": "1"}), "layers": ("int", {"min": "0", "max": "99"})}
CONTAINER = {"name": "main", "image": "none", "args": [f"--{name}=${{trialParameters.{name}}}" for name in SPACE]}
RUNS = {
    "Job": {**JOB, "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}},
    "TrainJob": {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "spec": {"runtimeRef": {"name": "torch"}, "trainer": {"args": CONTAINER["args"]}},
    },
}


class Stores:
    """The experiment of one key, whose trials run this kind, and the stores that write it with `api`."""

    def __init__(self, server, api, key, kind="Job"):
        self.client, self.api, self.key, self.kind = server.client, api, key, kind
        self.seen = Informer(api, EXPERIMENTS, lambda document: document, lambda *_: None)
        self.events = EventWriter(api)

    def path(self, resource, name=None):
        return resource.path(self.key.namespace, self.key.name if name is None else name)

    def document(self, **spec):
        parameters = [
            {"name": name, "parameterType": kind, "feasibleSpace": space} for name, (kind, space) in SPACE.items()
        ]
        run = RUNS[self.kind]
        primary = "node" if self.kind == "TrainJob" else "main"
        names = [{"name": name, "reference": name} for name in SPACE]
        template = {"trialParameters": names, "primaryContainerName": primary}
        return experiment(self.key.name, run=run, parameters=parameters, trialTemplate=template, **spec)

    async def create(self, **spec):
        """The experiment is made, and the informer knows it."""
        document = self.client.post(EXPERIMENTS.path(self.key.namespace), self.document(**spec))
        await self.until(lambda found: found and found["metadata"]["uid"] == document["metadata"]["uid"])
        return document

    async def edit(self, **spec):
        """Its spec is changed, and the informer knows so."""
        document = self.client.patch(self.path(EXPERIMENTS), {"spec": spec})
        await self.until(lambda found: found["metadata"]["generation"] >= document["metadata"]["generation"])

    async def delete(self):
        self.client.delete(self.path(EXPERIMENTS), propagationPolicy="Background")
        await self.until(lambda found: found is None)

    async def until(self, there):
        async with asyncio.timeout(30):
            while not there(self.seen.get(Name(*self.key))):
                await asyncio.sleep(0.01)

    def store(self):
        """A store as a controller makes one for the experiment as it is."""
        try:
            document = self.client.get(self.path(EXPERIMENTS))
        except Refused:
            document = {**self.document(), "metadata": {"name": self.key.name, "uid": "none", "generation": 1}}
        checks = Checks(filter_problem)
        template = compile_template(load_experiment(repaired(document), checks).experiment, {})
        metadata = document["metadata"]
        manual = Manual(metadata["uid"], metadata["generation"], checks, template, Metrics())
        return KubeStore(self.api, self.seen, self.key, manual, self.events)

    def trials(self):
        return self.client.get(TRIALS.path(self.key.namespace))["items"]

    def suggestion(self):
        return self.client.get(self.path(SUGGESTIONS))


@asynccontextmanager
async def stores(server, namespace, name="demo", kind="Job"):
    """Stores on this server."""
    api = await Api.connect(str(server.kubeconfig))
    made = Stores(server, api, Key(namespace, name), kind)
    works = [asyncio.ensure_future(work) for work in (made.seen.run(), made.events.run())]
    try:
        await made.seen.ready()
        yield made
    finally:
        for work in works:
            work.cancel()
        await asyncio.gather(*works, return_exceptions=True)
        await api.close()
