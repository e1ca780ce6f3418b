"""The suggestion services of a cluster: one that is shared, and those that an algorithm has of its own."""

from __future__ import annotations

from typing import Any

import grpc

from katib_py.controller.ports import Suggesters
from katib_py.core.experiment import Experiment
from katib_py.wire import rpc


class RemoteSuggesters:
    """The Suggesters port for a service at an address; it is reached, lost and reached again by itself."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=rpc.CHANNEL_OPTIONS)

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the service."""
        return self._channel

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class SharedSuggesters:
    """Suggesters that one experiment uses among others: they outlive its engine."""

    def __init__(self, suggesters: Suggesters) -> None:
        self._suggesters = suggesters

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the algorithm's service; raises ServiceUnavailable."""
        return await self._suggesters.channel(experiment)

    async def close(self) -> None:
        """They are others' too: nothing is closed."""
