"""The service that is tried: calls with a deadline, timed, their errors in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import grpc

from katib_py.core.names import HEALTH_SERVICE
from katib_py.wire import api, rpc

HEALTH_METHOD: Final = "/grpc.health.v1.Health/Check"
# HealthCheckRequest and HealthCheckResponse have one field each, so they are written down here.
HEALTH_QUESTION: Final = b"\x0a" + bytes([len(HEALTH_SERVICE)]) + HEALTH_SERVICE.encode()
SERVING: Final = b"\x08\x01"


class Refused(Exception):  # noqa: N818 - reads as what it says
    """The service answered with an error."""

    def __init__(self, error: grpc.RpcError) -> None:
        self.code: grpc.StatusCode = error.code()
        self.details = str(error.details() or "no words")
        super().__init__(f"{self.code.name}: {self.details}")


@dataclass(slots=True)
class Subject:
    """A suggestion service at an address."""

    target: str
    deadline: float
    latencies: list[float] = field(default_factory=list)
    _channel: Any = None

    def reach(self) -> bool:
        """Whether it can be connected to in time."""
        self._channel = grpc.insecure_channel(self.target, options=rpc.CHANNEL_OPTIONS)
        try:
            grpc.channel_ready_future(self._channel).result(timeout=min(self.deadline, 10.0))
        except grpc.FutureTimeoutError:
            return False
        return True

    def suggest(self, request: api.GetSuggestionsRequest) -> api.GetSuggestionsReply:
        """New assignments; raises Refused."""
        begin = time.monotonic()
        reply: api.GetSuggestionsReply = self._call("GetSuggestions", request)
        self.latencies.append(time.monotonic() - begin)
        return reply

    def validate(self, experiment: api.Experiment) -> frozenset[str]:
        """The features that it announces when it takes the experiment; raises Refused."""
        request = api.ValidateAlgorithmSettingsRequest(experiment=experiment)
        reply: api.ValidateAlgorithmSettingsReply = self._call("ValidateAlgorithmSettings", request)
        return frozenset(reply.features)

    def healthy(self) -> bool:
        """Whether it says that it is well, under the name that Katib's probes ask for; raises Refused."""
        check = self._channel.unary_unary(HEALTH_METHOD)
        return bool(_answer(lambda: check(HEALTH_QUESTION, timeout=self.deadline)) == SERVING)

    def close(self) -> None:
        """Hang up."""
        if self._channel is not None:
            self._channel.close()

    def _call(self, method: str, request: Any) -> Any:
        call = rpc.call(self._channel, "Suggestion", method)
        return _answer(lambda: call(request, timeout=self.deadline))


def _answer(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except grpc.RpcError as error:
        raise Refused(error) from error
