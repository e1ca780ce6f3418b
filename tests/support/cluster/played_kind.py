"""An operator that is played: an act happens to each object of a kind.

async with PlayedKind(kubeconfig, path, act): …     act(played, object) is a coroutine; its object's deletion ends it
"""

import asyncio
import secrets
from datetime import UTC, datetime

from support.cluster.player import Player


class PlayedKind(Player):
    """Watches the objects at a path of the API."""

    def __init__(self, kubeconfig, path, act):
        super().__init__(kubeconfig, act)
        self.path = path

    async def pod(self, owner, template, labels, node):
        """A new Pod of this object on the node."""
        metadata = owner["metadata"]
        reference = {key: owner[key] for key in ("apiVersion", "kind")} | {
            key: metadata[key] for key in ("name", "uid")
        }
        own = template.get("metadata", {})
        body = {
            "metadata": {
                "name": f"{metadata['name'][:50]}-{secrets.token_hex(3)}",
                "labels": {**own.get("labels", {}), **labels},
                "annotations": own.get("annotations", {}),
                "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": True}],
            },
            "spec": {**template["spec"], "nodeName": node.name},
        }
        return await self.client.post(f"/api/v1/namespaces/{metadata['namespace']}/pods", body)

    async def set_conditions(self, document, *kinds):
        """These conditions, and no others, hold."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        text = {"status": "True", "reason": "Played", "message": "", "lastTransitionTime": now}
        status = {"conditions": [{"type": kind, **text} for kind in kinds]}
        await self.client.patch(f"{self.path}/{document['metadata']['name']}/status", {"status": status})

    async def _watch(self):
        async for event in self.client.follow(self.path):
            document = event["object"]
            uid = document["metadata"]["uid"]
            if event["type"] == "DELETED":
                if task := self._acts.get(uid):
                    task.cancel()
            elif uid not in self._acts:
                self._acts[uid] = asyncio.create_task(self._act(self, document))
