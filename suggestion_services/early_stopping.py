"""Katib's EarlyStopping service over the stoppers of the core."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, Final

import grpc

from katib_py.core.early_stopping import number_of, parse_stopper
from katib_py.core.errors import ServiceUnavailable, show
from katib_py.core.objective import ObjectiveSpec
from katib_py.wire import api, convert, rpc
from suggestion_services.edge import answers

LOG_SECONDS: Final = 60.0
# Katib's own db-manager, where a caller names none.
DB_MANAGER: Final = "katib-db-manager.kubeflow:6789"
# Series of finished trials that are kept; a series is its numbers alone.
KEPT: Final = 10_000
COMPARISONS: Final = {"less": api.LESS, "greater": api.GREATER}

Series = tuple[float, ...]


class EarlyStoppingService:
    """Rules from the observation log; the engine itself decides on live data and needs no rules."""

    def __init__(self) -> None:
        self._series: OrderedDict[tuple[str, str, str], Series] = OrderedDict()

    @answers
    def ValidateEarlyStoppingSettings(  # noqa: N802 - the rpc's name
        self, message: api.ValidateEarlyStoppingSettingsRequest
    ) -> api.ValidateEarlyStoppingSettingsReply:
        """Whether the stopper is known and its settings can be read."""
        parse_stopper(convert.algorithm(message.early_stopping))
        return api.ValidateEarlyStoppingSettingsReply()

    @answers
    def GetEarlyStoppingRules(  # noqa: N802 - the rpc's name
        self, message: api.GetEarlyStoppingRulesRequest
    ) -> api.GetEarlyStoppingRulesReply:
        """One rule once enough trials have succeeded, else none."""
        spec = message.experiment.spec
        stopper = parse_stopper(convert.algorithm(spec.early_stopping))
        objective = convert.objective(spec.objective)
        rule = stopper.rule(self._finished(message, objective), objective)
        reply = api.GetEarlyStoppingRulesReply()
        if rule is not None:
            comparison = COMPARISONS.get(rule.comparison, api.EQUAL)
            reply.early_stopping_rules.add(
                name=rule.name, value=rule.value, comparison=comparison, start_step=rule.start_step
            )
        return reply

    def SetTrialStatus(self, message: api.SetTrialStatusRequest, context: Any) -> Any:  # noqa: N802 - the rpc's name
        """Refused: trials are the controller's, which stops them itself."""
        words = f"trial {show(message.trial_name)} is the controller's to stop; this service holds no trials"
        context.abort(grpc.StatusCode.UNIMPLEMENTED, words)

    def _finished(self, message: api.GetEarlyStoppingRulesRequest, objective: ObjectiveSpec) -> Iterator[Series]:
        names = [trial.name for trial in message.trials if trial.status.condition == api.TrialStatus.SUCCEEDED]
        address = message.db_manager_address or DB_MANAGER
        unknown = [name for name in names if (address, name, objective.objective_metric_name) not in self._series]
        if unknown:
            with grpc.insecure_channel(address, options=rpc.CHANNEL_OPTIONS) as channel:
                for name in unknown:
                    series = _series(channel, address, name, objective.objective_metric_name)
                    self._series[address, name, objective.objective_metric_name] = series
        for name in names:
            yield self._series[address, name, objective.objective_metric_name]
        while len(self._series) > max(KEPT, len(names)):
            self._series.popitem(last=False)


def _series(channel: grpc.Channel, address: str, trial: str, metric: str) -> Series:
    """The trial's values of the objective in order; what is no number is left out."""
    request = api.GetObservationLogRequest(trial_name=trial, metric_name=metric)
    try:
        reply = rpc.call(channel, "DBManager", "GetObservationLog")(request, timeout=LOG_SECONDS)
    except grpc.RpcError as error:
        raise ServiceUnavailable(f"the db-manager at {address} does not answer: {error.details()}") from error
    values = (number_of(log.metric.value) for log in reply.observation_log.metric_logs)
    return tuple(value for value in values if value is not None)
