"""Calls and servers over the services of proto/api.proto, without generated stubs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf import message_factory

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.wire import api

PACKAGE: Final = "api.v1.beta1"
ADDRESS: Final = re.compile(r"unix:.+|.+:[0-9]{1,5}")

# A request with 100,000 trials of 20 parameters is about 75 MB; gRPC's default limit is 4 MB.
CHANNEL_OPTIONS: Final = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))

# A proxy is for the outside world, a db-manager never behind it. While there is no server, look again every 2 s.
REPORT_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def call(channel: Any, service: str, method: str) -> Any:
    """The callable for one rpc on a channel, synchronous or asyncio as the channel is."""
    descriptor = _method(service, method)
    make = channel.unary_stream if descriptor.server_streaming else channel.unary_unary
    return make(
        f"/{PACKAGE}.{service}/{method}",
        request_serializer=message_factory.GetMessageClass(descriptor.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(descriptor.output_type).FromString,
    )


def handler(service: str, servicer: Any, raw: frozenset[str] = frozenset()) -> grpc.GenericRpcHandler:
    """The handler that serves every rpc of `service` with the servicer's method of that name.

    The methods named in `raw` get the request's bytes instead of the message.
    """
    methods = {}
    for descriptor in _service(service).methods:
        deserialize: Callable[[bytes], Any] = message_factory.GetMessageClass(descriptor.input_type).FromString
        streaming = descriptor.server_streaming
        make = grpc.unary_stream_rpc_method_handler if streaming else grpc.unary_unary_rpc_method_handler
        methods[descriptor.name] = make(
            getattr(servicer, descriptor.name),
            request_deserializer=None if descriptor.name in raw else deserialize,
            response_serializer=message_factory.GetMessageClass(descriptor.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(f"{PACKAGE}.{service}", methods)


def listen(server: grpc.Server, address: str) -> str:
    """Have the server listen on HOST:PORT or unix:PATH, and its address; port 0 takes a free one.

    Raises InvalidInput for text that is no address, OSError where the address cannot be had.
    """
    if not ADDRESS.fullmatch(address):
        raise InvalidInput([Problem("--listen", f"is {show(address)}; must be HOST:PORT or unix:PATH")])
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}: it is in use, not of this machine, or may not be taken") from error
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


def _service(service: str) -> Any:
    return api.POOL.FindServiceByName(f"{PACKAGE}.{service}")


def _method(service: str, method: str) -> Any:
    return _service(service).methods_by_name[method]
