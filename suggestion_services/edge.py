"""Errors as gRPC statuses."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Final

import grpc

from katib_py.core.errors import InvalidInput, KatibError, ServiceUnavailable
from suggestion_services.contract import SearchEnded
from suggestion_services.history import HistoryUnknown

CODES: Final = {
    InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    SearchEnded: grpc.StatusCode.OUT_OF_RANGE,
    HistoryUnknown: grpc.StatusCode.FAILED_PRECONDITION,
    ServiceUnavailable: grpc.StatusCode.UNAVAILABLE,
}

Method = Callable[[Any, Any], Any]


def answers(method: Method) -> Callable[[Any, Any, Any], Any]:
    """The rpc that calls `method(self, request)` and answers its errors with a status."""

    @functools.wraps(method)
    def rpc(self: Any, request: Any, context: Any) -> Any:
        try:
            return method(self, request)
        except KatibError as error:
            code, words = CODES.get(type(error), grpc.StatusCode.FAILED_PRECONDITION), str(error)
        except Exception as error:
            logging.getLogger(__name__).exception("%s failed", method.__name__)
            code, words = grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}"
        context.abort(code, words)
        raise AssertionError("abort raises")

    return rpc
