"""The Observations port over a db-manager's address, as the engine uses it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from katib_py.backends.k8s.observations import RemoteLogs
from katib_py.controller.ports import RunOrder
from katib_py.core.objective import Measurement
from katib_py.core.trial import Assignment, TrialRecord
from katib_py.observations.database import connect
from katib_py.observations.remote import RemoteLog
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve

ORDER = RunOrder(TrialRecord(Assignment("demo-x", 0, ()), 0.0, attempt=2), "uid-a", {})


def measured(position):
    return Measurement("loss", "0.5", datetime(2026, 1, 1, tzinfo=UTC), position)


@pytest.fixture
async def logs(db_url):
    engine = connect(db_url)
    prepare(engine)
    server, address = serve(engine, "127.0.0.1:0")
    log = RemoteLog(address, patience=20)
    yield RemoteLogs(log)
    await log.close()
    server.stop(None).wait()
    engine.dispose()


async def test_what_an_experiment_appends_it_reads_and_another_follows(logs):
    mine, theirs = logs.of("team-a"), logs.of("team-b")
    await mine.begin(ORDER)
    await mine.append([(ORDER, [measured(1), measured(2)])])
    await mine.append([(ORDER, [measured(2)])])
    await mine.record_stop("uid-a", 2, "hopeless")
    assert await mine.read([("uid-a", 2), ("uid-a", 1)]) == [[measured(1), measured(2)], []]
    cursor, rows = await theirs.follow(0, ["uid-a"])
    assert rows == [("uid-a", 2, measured(1)), ("uid-a", 2, measured(2))]
    assert await theirs.follow(cursor, ["uid-a"]) == (cursor, [])
    assert await mine.follow(0, ["uid-b"]) == (cursor, [])
