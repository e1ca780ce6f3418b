"""The suggestion service that all experiments share."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import grpc

from katib_py.controller.ports import EarlyStopping
from katib_py.core.experiment import Experiment
from katib_py.wire import rpc

# Told of the method and the seconds of each call.
Observe = Callable[[str, float], None]


def unobserved(method: str, seconds: float) -> None:
    """Nobody wants to know."""


def channel_to(address: str, observe: Observe) -> Any:
    """A grpc.aio channel whose calls are observed."""
    return grpc.aio.insecure_channel(address, options=rpc.CHANNEL_OPTIONS, interceptors=[Timed(observe)])


class RemoteSuggesters:
    """The Suggesters port for a service at an address; it is lost and found again by itself."""

    def __init__(self, address: str, observe: Observe = unobserved) -> None:
        self._channel = channel_to(address, observe)

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the service."""
        return self._channel

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """None: the engine's own stoppers decide."""
        return None

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class Timed(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc]
    """Tells how long each call of a service took; `observe` is given the method's name and seconds."""

    def __init__(self, observe: Callable[[str, float], None]) -> None:
        self._observe = observe

    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        """Time the call."""
        began = time.monotonic()
        call = await continuation(client_call_details, request)
        method = _text(client_call_details.method).rpartition("/")[2]
        call.add_done_callback(lambda _: self._observe(method, time.monotonic() - began))
        return call


def _text(method: str | bytes) -> str:
    return method.decode() if isinstance(method, bytes) else method
