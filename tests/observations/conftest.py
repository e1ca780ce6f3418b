from __future__ import annotations

import grpc
import pytest

from katib_py.observations.database import connect
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve


@pytest.fixture
def engine(db_url):
    engine = connect(db_url)
    prepare(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def channel(engine):
    server, address = serve(engine, "127.0.0.1:0")
    with grpc.insecure_channel(address) as channel:
        yield channel
    server.stop(None).wait()
