"""What a controller gets of a db-manager's log beyond the contract: many runs at once, patience, clear refusals."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime
from functools import partial

import grpc
import pytest
from sqlalchemy import event, text

from katib_py.collectors.reporter import Reporter
from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.core.tokens import call_metadata, controller_token, trial_token
from katib_py.observations.log import Run, SqlLog
from katib_py.observations.remote import RemoteLog, Start
from katib_py.observations.server import serve
from katib_py.wire import api, rpc

KEY = "0123456789abcdef"
START = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run("team-a", "trial-a", "uid-a", "1")


def measured(position, value="0.5"):
    return Measurement("loss", value, START, position)


def runs(count):
    return [Run("team-a", f"trial-{number}", f"uid-{number:04}", "1") for number in range(count)]


class Manager:
    """A db-manager that may go away and come back at the same address."""

    def __init__(self, engine, **options):
        self.engine, self._options, self.address = engine, options, "127.0.0.1:0"
        self.start()

    def start(self):
        self._server, self.address = serve(self.engine, self.address, **self._options)

    def stop(self):
        self._server.stop(None).wait()


@pytest.fixture
def manager(engine):
    manager = Manager(engine)
    yield manager
    manager.stop()


@pytest.fixture
async def log(manager):
    log = RemoteLog(manager.address, patience=20)
    yield log
    await log.close()


@pytest.mark.every_database("mariadb")
async def test_a_thousand_trials_are_read_with_one_query(engine, log):
    many = runs(1000)
    await log.append([(run, [measured(2), measured(1)]) for run in many])
    queries = []
    event.listen(engine, "before_cursor_execute", lambda *given: queries.append(given[2]))
    found = await log.read_many([(run.trial_uid, run.attempt) for run in many])
    assert found == {(run.trial_uid, "1"): [measured(1), measured(2)] for run in many}
    assert len([query for query in queries if "observation_logs" in query]) == 1


async def test_of_many_trials_the_last_attempts_are_read_or_those_that_are_named(log):
    again = RUN._replace(attempt="2")
    other = runs(1)[0]
    await log.append([(RUN, [measured(1, "a")]), (again, [measured(2, "b")]), (other, [measured(3, "c")])])
    await log.append([(RUN, [measured(4, "d")])])
    found = await log.read_many([("uid-a", ""), ("uid-a", "1"), ("uid-0000", ""), ("nobody", ""), ("uid-0000", "7")])
    assert {key: [item.value for item in items] for key, items in found.items()} == {
        ("uid-a", "1"): ["a", "d"],
        ("uid-a", "2"): ["b"],
        ("uid-0000", "1"): ["c"],
    }


async def test_a_long_log_comes_in_pieces_and_whole(log):
    await log.append([(RUN, [measured(position) for position in range(25_000)])])
    assert len(await log.read("uid-a")) == 25_000
    assert len((await log.since(0, ["uid-a"]))[1]) == 25_000
    cursor, rows = await log.follow_all(1)
    assert (cursor, len(rows), rows[-1].cursor) == (25_000, 24_999, 25_000)


async def test_a_namespace_is_followed_without_the_others(log):
    elsewhere = Run("team-b", "trial-b", "uid-b", "1")
    await log.append([(RUN, [measured(1)]), (elsewhere, [measured(2)])])
    cursor, rows = await log.follow_all(0, "team-b")
    assert (cursor, [row.reported.trial_uid for row in rows]) == (2, ["uid-b"])
    assert len((await log.follow_all(0))[1]) == 2


async def test_a_report_by_name_is_placed_into_the_run_that_was_registered_and_told_to_stop(manager, log):
    await log.register([Start(RUN, START)])
    await log.record_stops({("uid-a", "1"): "hopeless"})
    reply = await asyncio.to_thread(report, manager.address)
    assert (reply.stop, reply.stop_reason) == (True, "hopeless")
    assert [item.value for item in await log.read("uid-a", "1")] == ["1"]


async def test_a_trial_adopts_what_came_before_it_was_known(manager, log):
    await asyncio.to_thread(report, manager.address)
    assert await log.held() == set()
    assert await log.adopt([Start(RUN, START)]) == 1
    assert [item.value for item in await log.read("uid-a", "1")] == ["1"]
    assert await log.held() == {"uid-a"}


async def test_a_trial_that_was_known_by_its_uid_alone_adopts_too(manager, log):
    await asyncio.to_thread(report, manager.address, run=RUN._replace(attempt=""))
    assert await log.adopt([Start(RUN, START)]) == 1
    assert [item.value for item in await log.read("uid-a", "1")] == ["1"]


@pytest.mark.every_database("mariadb")
async def test_a_sweep_meets_every_trial_of_its_namespace(log):
    many = runs(2000)
    await log.append([(run, [measured(1)]) for run in many])
    await log.register([Start(Run("team-b", "trial-b", "uid-b", "1"), START)])
    await log.record_stops({("uid-s", "1"): "hopeless"})
    assert await log.held() == {run.trial_uid for run in many} | {"uid-b", "uid-s"}
    assert await log.held("team-b") == {"uid-b"}
    await log.delete([run.trial_uid for run in many[:-1]])
    assert await log.held("team-a") == {"uid-1999"}


async def test_a_call_outlasts_a_db_manager_that_is_away(manager, log):
    await log.append([(RUN, [measured(1)])])
    await asyncio.to_thread(manager.stop)
    call = asyncio.create_task(log.append([(RUN, [measured(2)])]))
    await asyncio.sleep(0.2)
    manager.start()
    await call
    assert await log.read("uid-a") == [measured(1), measured(2)]


@pytest.mark.parametrize(
    "work",
    [
        lambda log: log.append([(RUN, [measured(1)])]),
        lambda log: log.since(0, ["uid-a"]),
        lambda log: log.read("uid-a"),
    ],
)
async def test_a_db_manager_that_stays_away_is_said_after_a_while(manager, work):
    await asyncio.to_thread(manager.stop)
    log = RemoteLog(manager.address, patience=0.5)
    with pytest.raises(StoreUnavailable, match=rf"the db-manager at {manager.address} has not answered for 0.5 s: "):
        await work(log)
    await log.close()
    manager.start()


async def test_a_database_in_trouble_is_waited_for_too(manager, engine, log):
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE observation_logs RENAME TO elsewhere"))
    call = asyncio.create_task(log.append([(RUN, [measured(1)])]))
    await asyncio.sleep(0.3)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE elsewhere RENAME TO observation_logs"))
    await call
    assert SqlLog(engine).read("uid-a") == [measured(1)]


async def test_a_time_that_is_none_is_refused_at_once(manager, log):
    request = api.AppendRequest(logs=[api.RunLog(measurements=[api.Measurement(time=2**63 - 1)])])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with grpc.aio.insecure_channel(manager.address) as channel:
            await rpc.call(channel, "ObservationLogs", "Append")(request)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def report(address, token="", run=None):
    metric = api.MetricLog(time_stamp="2026-01-01T00:00:00Z", metric=api.Metric(name="loss", value="1"))
    request = api.ReportObservationLogRequest(
        trial_name="trial-a", observation_log=api.ObservationLog(metric_logs=[metric])
    )
    if run is not None:
        request.run.CopyFrom(api.Run(namespace=run.namespace, trial_uid=run.trial_uid, attempt=run.attempt))
    with grpc.insecure_channel(address) as channel:
        return rpc.call(channel, "DBManager", "ReportObservationLog")(request, metadata=call_metadata(token))


@pytest.fixture
def guarded(engine):
    manager = Manager(engine, token_key=KEY)
    yield manager.address
    manager.stop()


TOKEN = trial_token(KEY, RUN.namespace, RUN.trial_name, RUN.trial_uid)


def denied(work):
    with pytest.raises(grpc.RpcError) as caught:
        work()
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    return caught.value.details()


def test_a_trial_writes_its_own_metrics_and_no_others(guarded, engine):
    report(guarded, TOKEN, RUN)
    other = Run("team-a", "trial-a", "uid-b", "1")
    assert "KATIB_TRIAL_TOKEN; another token was shown for team-a/trial-a with the uid uid-b" in denied(
        lambda: report(guarded, TOKEN, other)
    )
    assert "none was shown" in denied(lambda: report(guarded, "", RUN))
    assert SqlLog(engine).held() == {"uid-a"}


async def test_a_trials_collector_shows_the_token_of_its_environment(guarded, engine):
    names = {"KATIB_TRIAL_NAMESPACE": "team-a", "KATIB_TRIAL_UID": "uid-a", "KATIB_TRIAL_ATTEMPT": "1"}
    async with grpc.aio.insecure_channel(guarded) as channel:
        for token, arrived in (({}, False), ({"KATIB_TRIAL_TOKEN": TOKEN}, True)):
            reporter = Reporter(channel, "trial-a", 0, {**names, **token})
            reporter.add([measured(1)])
            assert await reporter.send(10) is arrived
    assert len(SqlLog(engine).read("uid-a", "1")) == 1


def test_a_trial_that_is_found_by_its_name_shows_the_same_token(guarded, engine):
    assert "another token was shown" in denied(lambda: report(guarded, TOKEN))
    asyncio.run(as_controller(guarded, lambda log: log.register([Start(RUN, START)])))
    report(guarded, TOKEN)
    assert len(SqlLog(engine).read("uid-a", "1")) == 1


async def as_controller(address, work, key=KEY):
    log = RemoteLog(address, controller_token(key))
    try:
        return await work(log)
    finally:
        await log.close()


def test_only_the_controller_reads_deletes_and_sweeps(guarded):
    with grpc.insecure_channel(guarded) as channel:
        for service in ("DBManager", "ObservationLogs"):
            for method in api.POOL.FindServiceByName(f"{rpc.PACKAGE}.{service}").methods:
                if method.name != "ReportObservationLog":
                    told = denied(partial(call_as_trial, channel, service, method.name))
                    assert "this call needs the controller's token" in told


def call_as_trial(channel, service, method):
    request = getattr(api, f"{method}Request")()
    reply = rpc.call(channel, service, method)(request, metadata=call_metadata(TOKEN))
    list(reply)  # a stream fails where it is read


def test_a_controller_with_the_wrong_key_hears_it_at_once(guarded):
    with pytest.raises(StoreUnavailable, match="answers PERMISSION_DENIED: this call needs the controller's token"):
        asyncio.run(as_controller(guarded, lambda log: log.held(), "wrong"))
    assert asyncio.run(as_controller(guarded, lambda log: log.held())) == set()


@pytest.mark.every_database("mariadb")
async def test_a_follower_misses_nothing_that_trials_and_controllers_write_at_once(engine, manager, log):
    """Through two servers, by reports with and without positions."""
    second = Manager(engine)
    await log.register([Start(RUN, START)])
    writers = [
        threading.Thread(target=push, args=(address, RUN if number % 2 else None, number))
        for number, address in enumerate([manager.address, second.address] * 2)
    ]
    for writer in writers:
        writer.start()
    cursor, found = 0, []
    while any(writer.is_alive() for writer in writers):
        cursor, rows = await log.follow_all(cursor)
        found += rows
        await log.append([(RUN, [measured(10_000 + cursor)])])
    cursor, rows = await log.follow_all(cursor)
    found += rows
    second.stop()
    assert [row.reported for row in found] == (await log.since(0, ["uid-a"]))[1]
    assert len({row.cursor for row in found}) == len(found)
    assert len([row for row in found if row.reported.measurement.value.startswith("w")]) == 4 * 25


def push(address, run, number):
    with grpc.insecure_channel(address) as channel:
        for position in range(1, 26):
            request = api.ReportObservationLogRequest(
                trial_name="trial-a", run=run and api.Run(trial_uid="uid-a", attempt="1")
            )
            entry = request.observation_log.metric_logs.add(time_stamp="2026-01-01T00:00:00Z")
            entry.position = (100 * number + position) if run else 0
            entry.metric.name, entry.metric.value = "loss", f"w{number}-{position}"
            rpc.call(channel, "DBManager", "ReportObservationLog")(request)
