"""What a trial is seen to wait for: on the Trial, on its Experiment and in Events."""

import asyncio

from support.cluster.client import Refused
from support.cluster.experiments import GROUP, condition

EXPERIMENT = "katib.kubeflow.org/experiment"
SECONDS = 60  # on a busy machine; what is promised is half of it


class Waits:
    """Looks at the experiments of one namespace, which have one trial each."""

    def __init__(self, client, namespace):
        self.client = client
        self.namespace = namespace

    async def trial(self, name):
        listed = await self.client.get(self.path("trials"), labelSelector=f"{EXPERIMENT}={name}")
        return next(iter(listed["items"]), None)

    async def experiment(self, name):
        return await self.client.get(self.path("experiments", name))

    async def told(self, name, reason):
        """The trial and the experiment, once both wait for this reason."""

        async def look():
            pair = await self.trial(name), await self.experiment(name)
            waits = [condition(found, "Waiting") if found else None for found in pair]
            return pair if all(wait and wait["reason"] == reason for wait in waits) else None

        return await until(look, lambda: f"{name} does not wait for {reason}")

    async def cured(self, name):
        """The trial and the experiment, once neither waits for anything."""

        async def look():
            pair = await self.trial(name), await self.experiment(name)
            return None if any(condition(found, "Waiting") for found in pair) else pair

        return await until(look, lambda: f"{name} still waits")

    async def ended(self, name):
        async def look():
            found = await self.experiment(name)
            return found if found.get("status", {}).get("completionTime") else None

        return await until(look, lambda: f"{name} does not end")

    async def events(self, trial):
        """Type, reason and message of the trial's Events."""
        events = await self.client.get(
            f"/api/v1/namespaces/{self.namespace}/events",
            fieldSelector=f"involvedObject.uid={trial['metadata']['uid']}",
        )
        return [(event["type"], event["reason"], event["message"]) for event in events["items"]]

    def path(self, plural, name=""):
        return f"{GROUP}/namespaces/{self.namespace}/{plural}{'/' + name if name else ''}"


async def until(look, complaint):
    """What `look` returns once it is something."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    if found := await look():
                        return found
                except Refused as refused:
                    if refused.code != 404:
                        raise
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(complaint()) from None
