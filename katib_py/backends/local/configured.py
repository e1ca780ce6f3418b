"""Suggestion and early stopping services that a KatibConfig names by address, beside our own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import grpc

from katib_py.controller.ports import EarlyStopping, Suggesters
from katib_py.core.errors import Problem
from katib_py.core.experiment import Experiment
from katib_py.core.katib_config import Address, KatibConfig, OwnImage
from katib_py.wire import rpc

IMAGE: Final = "is {}, which the KatibConfig has as an image; start it yourself and give its address"


def image_problems(config: KatibConfig, experiment: Experiment) -> Iterator[Problem]:
    """What the experiment needs of the KatibConfig that only a cluster can run."""
    search, stopping = experiment.spec.algorithm, experiment.spec.early_stopping
    if search is not None and isinstance(config.suggestion(search.algorithm_name), OwnImage):
        yield Problem("spec.algorithm.algorithmName", IMAGE.format(search.algorithm_name))
    if stopping is not None and isinstance(config.early_stopping(stopping.algorithm_name), OwnImage):
        yield Problem("spec.earlyStopping.algorithmName", IMAGE.format(stopping.algorithm_name))


def stopped_elsewhere(config: KatibConfig, experiment: Experiment) -> str | None:
    """The address of the experiment's early stopping service; None where ours decide."""
    stopping = experiment.spec.early_stopping
    service = config.early_stopping(stopping.algorithm_name) if stopping is not None else None
    return service.address if isinstance(service, Address) else None


class ConfiguredSuggesters:
    """The Suggesters port: services by address where the KatibConfig has them, else `ours`.

    `db_manager` is where an early stopping service finds what trials have measured.
    """

    def __init__(self, config: KatibConfig, ours: Suggesters, db_manager: str = "") -> None:
        self._config = config
        self._ours = ours
        self._db_manager = db_manager
        self._channels: dict[str, Any] = {}

    async def channel(self, experiment: Experiment) -> Any:
        """A grpc.aio channel to the service; raises ServiceUnavailable where ours cannot be started."""
        spec = experiment.spec.algorithm
        service = self._config.suggestion(spec.algorithm_name) if spec is not None else None
        return self._to(service.address) if isinstance(service, Address) else await self._ours.channel(experiment)

    async def early_stopping(self, experiment: Experiment) -> EarlyStopping | None:
        """The experiment's early stopping service; None where ours decide."""
        address = stopped_elsewhere(self._config, experiment)
        return EarlyStopping(self._to(address), self._db_manager) if address is not None else None

    async def close(self) -> None:
        """Close the channels, and end our own service."""
        for channel in self._channels.values():
            await channel.close()
        self._channels.clear()
        await self._ours.close()

    def _to(self, address: str) -> Any:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=rpc.CHANNEL_OPTIONS)
        return self._channels[address]
