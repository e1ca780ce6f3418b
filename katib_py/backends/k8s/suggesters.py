"""The suggestion service that all experiments share."""

from __future__ import annotations

from typing import Any

import grpc

from katib_py.controller.ports import EarlyStopping
from katib_py.core.experiment import Experiment
from katib_py.wire import rpc


class RemoteSuggesters:
    """The Suggesters port for a service at an address; it is lost and found again by itself."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=rpc.CHANNEL_OPTIONS)

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the service."""
        return self._channel

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """None: the engine's own stoppers decide."""
        return None

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()
