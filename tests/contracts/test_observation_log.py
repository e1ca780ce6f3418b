"""What every observation log promises."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from katib_py.core.objective import Measurement
from katib_py.observations.database import connect
from katib_py.observations.log import ObservationLog, Run, SqlLog
from katib_py.observations.memory import MemoryLog
from katib_py.observations.remote import RemoteLog
from katib_py.observations.schema import prepare
from katib_py.observations.server import serve

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
FIRST = Run("default", "trial-a", "uid-a", "1")
AGAIN = FIRST._replace(attempt="2")
OTHER = Run("default", "trial-b", "uid-b", "1")


def measured(position: int, value: str = "0.5", metric: str = "loss") -> Measurement:
    return Measurement(metric, value, BEGINNING + timedelta(microseconds=position), position)


class Called:
    """A RemoteLog for callers without a loop."""

    def __init__(self, address):
        self._address = address

    def __enter__(self):
        self._runner = asyncio.Runner()
        self._log = self._runner.run(self._connect())
        return self

    def __exit__(self, *_):
        self._runner.run(self._log.close())
        self._runner.close()

    def __getattr__(self, name):
        return lambda *arguments: self._runner.run(getattr(self._log, name)(*arguments))

    async def _connect(self):
        return RemoteLog(self._address)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb", "remote", "memory"])
def log(request, new_database):
    if request.param == "memory":
        yield MemoryLog()
        return
    engine = connect(new_database("sqlite" if request.param == "remote" else request.param))
    prepare(engine)
    if request.param == "remote":
        server, address = serve(engine, "127.0.0.1:0")
        with Called(address) as log:
            yield log
        server.stop(None).wait()
    else:
        yield SqlLog(engine)
    engine.dispose()


def test_what_was_appended_is_read_as_it_was(log: ObservationLog):
    rows = [measured(0, "0.50"), measured(1, "nan"), measured(1, "1e-3", "accuracy"), measured(7, "0,5 ü")]
    log.append([(FIRST, rows)])
    assert log.read("uid-a", "1") == rows


def test_a_repeated_measurement_is_kept_once_and_the_first_stays(log: ObservationLog):
    log.append([(FIRST, [measured(1)])])
    log.append([(FIRST, [measured(1, "9"), measured(2)]), (FIRST, [measured(2)])])
    assert log.read("uid-a", "1") == [measured(1), measured(2)]
    assert len(log.since(0, {"uid-a"})[1]) == 2


def test_one_position_holds_one_value_of_each_metric(log: ObservationLog):
    rows = [measured(1, metric="loss"), measured(1, metric="Loss")]
    log.append([(FIRST, rows)])
    assert log.read("uid-a", "1") == rows


def test_names_and_values_may_be_long_and_odd(log: ObservationLog):
    log.append([(FIRST, [measured(1, "9" * 100_000, "m" * 600), measured(2, "0\0")])])
    long, odd = log.read("uid-a", "1")
    assert (len(long.metric), len(long.value), odd.value[0]) == (600, 100_000, "0")


def test_measurements_are_read_in_order_of_position_whenever_they_came(log: ObservationLog):
    log.append([(FIRST, [measured(3), measured(1)])])
    log.append([(FIRST, [measured(2)])])
    assert [item.position for item in log.read("uid-a", "1")] == [1, 2, 3]


def test_without_an_attempt_the_last_one_that_began_is_read(log: ObservationLog):
    log.append([(FIRST, [measured(1)]), (AGAIN, [measured(2)])])
    log.append([(FIRST, [measured(3)])])
    assert log.read("uid-a") == [measured(2)]
    assert log.read("uid-a", "1") == [measured(1), measured(3)]


def test_an_unknown_trial_has_measured_nothing(log: ObservationLog):
    assert log.read("nobody") == []
    assert log.read("nobody", "1") == []


def test_a_follower_meets_every_new_row_of_its_trials_once(log: ObservationLog):
    log.append([(FIRST, [measured(1)]), (OTHER, [measured(1)])])
    cursor, rows = log.since(0, ["uid-a"])
    assert rows == [("uid-a", "1", measured(1))]
    log.append([(OTHER, [measured(2)]), (AGAIN, [measured(5), measured(4)])])
    cursor, rows = log.since(cursor, ["uid-a"])
    assert rows == [("uid-a", "2", measured(5)), ("uid-a", "2", measured(4))]
    assert log.since(cursor, ["uid-a", "uid-b"]) == (cursor, [])


def test_a_follower_may_begin_before_anything_is_there(log: ObservationLog):
    cursor, rows = log.since(0, ["uid-a"])
    assert rows == []
    log.append([(FIRST, [measured(1)])])
    assert [row.measurement for row in log.since(cursor, ["uid-a"])[1]] == [measured(1)]


def test_a_follower_of_very_many_trials_meets_them_all(log: ObservationLog):
    runs = [Run("default", f"trial-{number}", f"uid-{number}", "1") for number in range(2000)]
    log.append([(run, [measured(1)]) for run in runs])
    uids = [run.trial_uid for run in runs[:1500]]
    assert [row.trial_uid for row in log.since(0, uids)[1]] == uids


def test_a_deleted_trial_is_gone_and_its_cursor_never_used_again(log: ObservationLog):
    log.append([(FIRST, [measured(1)]), (OTHER, [measured(1)])])
    cursor, _ = log.since(0, ["uid-b"])
    log.delete(["uid-b", "nobody"])
    assert log.read("uid-b") == []
    assert log.read("uid-a") == [measured(1)]
    log.append([(OTHER, [measured(9)])])
    assert [row.measurement.position for row in log.since(cursor, ["uid-b"])[1]] == [9]


def test_a_sweep_finds_the_trials_that_are_gone(log: ObservationLog):
    log.append([(FIRST, [measured(1)]), (AGAIN, [measured(1)]), (OTHER, [measured(1)])])
    alive = {"uid-b"}
    log.delete(log.held() - alive)
    assert log.held() == alive


def test_times_before_and_long_after_the_epoch_are_kept(log: ObservationLog):
    rows = [
        Measurement("loss", "1", datetime(1, 1, 1, tzinfo=UTC), 1),
        Measurement("loss", "1", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), 2**63 - 1),
    ]
    log.append([(FIRST, rows)])
    assert log.read("uid-a") == rows


items = st.builds(
    lambda position, metric, value: measured(position, value, metric),
    st.integers(0, 5),
    st.sampled_from(["loss", "accuracy"]),
    st.sampled_from(["1", "2"]),
)
batches = st.lists(st.tuples(st.sampled_from([FIRST, AGAIN, OTHER]), st.lists(items, max_size=4)), max_size=6)


@given(batches=batches)
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_order_and_any_repetition_leave_each_measurement_once(log: ObservationLog, batches):
    log.delete(log.held())
    expected: dict[tuple[Run, str, int], Measurement] = {}
    for run, rows in batches:
        log.append([(run, rows)])
        for item in rows:
            expected.setdefault((run, item.metric, item.position), item)
    for run in (FIRST, AGAIN, OTHER):
        kept = [item for (owner, _, _), item in expected.items() if owner == run]
        assert sorted(log.read(run.trial_uid, run.attempt)) == sorted(kept)
