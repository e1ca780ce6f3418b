"""A third party's early stopping service: it gives rules with every batch of assignments, which we then watch."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import grpc

from katib_py.controller.ports import EarlyStopping, Suggesters
from katib_py.core.errors import Rejected, problems_told
from katib_py.core.experiment import Experiment
from katib_py.core.trial import Rule
from katib_py.wire import api, rpc
from katib_py.wire.convert import experiment_message
from katib_py.wire.trials import rule

CALL_SECONDS: Final = 60.0
SERVICE: Final = "EarlyStopping"

# Repeats a call while its service does not answer.
Persistently = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]


class ForeignStopping:
    """The conversation with one experiment's early stopping service, if it has one of its own."""

    def __init__(self, suggesters: Suggesters, persistently: Persistently) -> None:
        self._suggesters = suggesters
        self._persistently = persistently

    async def validate(self, experiment: Experiment) -> None:
        """Have the service check its settings; raises Rejected with its words, ServiceUnavailable."""
        service = await self._suggesters.early_stopping(experiment)
        if service is None:
            return
        settings = experiment_message(experiment).spec.early_stopping
        request = api.ValidateEarlyStoppingSettingsRequest(early_stopping=settings)
        try:
            await self._call(service, "ValidateEarlyStoppingSettings", request)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                raise Rejected(problems_told(str(error.details()), "spec.earlyStopping")) from error

    async def rules(self, message: api.Experiment, experiment: Experiment, trials: Trials) -> tuple[Rule, ...]:
        """The rules of the trials to come; none where the experiment's early stopping is ours to decide."""
        service = await self._suggesters.early_stopping(experiment)
        if service is None:
            return ()
        request = api.GetEarlyStoppingRulesRequest(experiment=message, db_manager_address=service.db_manager)
        request.trials.extend(await trials())
        reply = await self._call(service, "GetEarlyStoppingRules", request)
        return tuple(rule(item) for item in reply.early_stopping_rules)

    async def _call(self, service: EarlyStopping, method: str, request: Any) -> Any:
        return await self._persistently(
            lambda: rpc.call(service.channel, SERVICE, method)(request, timeout=CALL_SECONDS)
        )


Trials = Callable[[], Awaitable[Sequence[api.Trial]]]
