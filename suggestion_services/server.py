"""The gRPC server: Suggestion and EarlyStopping on one port, health and reflection beside them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from katib_py.core.names import HEALTH_SERVICE
from katib_py.wire import api, rpc
from suggestion_services.early_stopping import EarlyStoppingService
from suggestion_services.registry import Served
from suggestion_services.suggestion import SuggestionService

WORKERS: Final = 10
SERVICES: Final = (f"{rpc.PACKAGE}.Suggestion", f"{rpc.PACKAGE}.EarlyStopping")


def serve(listen: str, served: Served) -> tuple[grpc.Server, str]:
    """Start serving these algorithms on HOST:PORT or unix:PATH; the server and its address. Port 0 takes a free one.

    Raises InvalidInput for text that is no address, OSError where the address cannot be had.
    """
    options = (*rpc.CHANNEL_OPTIONS, ("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(WORKERS, "suggestion"), options=options)
    suggestion = rpc.handler("Suggestion", SuggestionService(served), frozenset({"GetSuggestions"}))
    server.add_generic_rpc_handlers((suggestion, rpc.handler("EarlyStopping", EarlyStoppingService())))
    health_pb2_grpc.add_HealthServicer_to_server(_health(), server)
    names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
    reflection.enable_server_reflection(names, server, pool=_pool())
    address = rpc.listen(server, listen)
    server.start()
    return server, address


def _health() -> Any:
    servicer = health.HealthServicer()
    for name in ("", HEALTH_SERVICE, *SERVICES):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    return servicer


def _pool() -> Any:
    """The wire's own descriptors, with those of the health service beside them."""
    api.POOL.AddSerializedFile(health_pb2.DESCRIPTOR.serialized_pb)
    return api.POOL
