"""A log that many follow is asked once a second, and nobody misses or meets twice a row of its trials."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.observations import tail
from katib_py.observations.log import Reported
from katib_py.observations.remote import Arrived
from katib_py.observations.tail import Tail


class Log:
    """A log in memory that counts what it is asked."""

    def __init__(self):
        self.rows, self.asked, self.away = [], [], False

    def add(self, *uids):
        for uid in uids:
            number = len(self.rows) + 1
            item = Measurement("loss", "1", datetime(2026, 1, 1, tzinfo=UTC), number)
            self.rows.append(Arrived(number, Reported(uid, "1", item)))

    async def since(self, cursor, trial_uids):
        self.asked.append("since")
        return len(self.rows), [row.reported for row in self.rows[cursor:] if row.reported.trial_uid in trial_uids]

    async def follow_all(self, cursor, namespace=""):
        self.asked.append("follow_all")
        await asyncio.sleep(0)
        if self.away:
            raise StoreUnavailable("away")
        return len(self.rows), self.rows[cursor:]


@pytest.fixture
def log():
    return Log()


def positions(rows):
    return [row.measurement.position for row in rows]


async def test_every_follower_meets_its_rows_once_and_in_order(log):
    end = Tail(log, interval=0)
    log.add("a", "b", "a")
    cursors, met = {"a": 0, "b": 0}, {"a": [], "b": []}
    for _ in range(5):
        for uid in "ab":
            cursors[uid], rows = await end.since(cursors[uid], [uid])
            met[uid] += positions(rows)
            log.add("a", "b")
    for uid in "ab":
        met[uid] += positions((await end.since(cursors[uid], [uid]))[1])
        assert met[uid] == [row.cursor for row in log.rows if row.reported.trial_uid == uid]


async def test_however_many_follow_the_log_is_asked_once_in_a_while(log):
    end = Tail(log, interval=1000)
    await end.since(0, ["a"])
    log.add("a", "b")
    found = await asyncio.gather(*(end.since(0, [uid]) for uid in "abab"))
    assert [positions(rows) for _, rows in found] == [[1], [2], [1], [2]]
    assert log.asked == ["since", "follow_all"]


async def test_who_comes_late_is_told_what_was_before(log):
    log.add("a", "b")
    end = Tail(log, interval=0)
    await end.since(0, ["a"])
    log.add("b")
    cursor, rows = await end.since(0, ["b"])
    assert positions(rows) == [2, 3]
    log.add("b")
    assert positions((await end.since(cursor, ["b"]))[1]) == [4]


async def test_what_is_kept_no_longer_is_asked_for(log, monkeypatch):
    monkeypatch.setattr(tail, "KEPT", 5)
    end = Tail(log, interval=0)
    cursor, _ = await end.since(0, ["a"])
    log.add(*"ab" * 20)
    later, rows = await end.since(cursor, ["a"])
    assert (later, positions(rows)) == (40, list(range(1, 41, 2)))
    log.add("a")
    assert positions((await end.since(36, ["a"]))[1]) == [37, 39, 41]


async def test_a_log_that_is_away_is_asked_again_by_the_next_follower(log):
    end = Tail(log, interval=1000)
    cursor, _ = await end.since(0, ["a"])
    log.away = True
    failed = await asyncio.gather(*(end.since(cursor, ["a"]) for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in failed] == ["away"] * 3
    log.away = False
    log.add("a")
    assert positions((await end.since(cursor, ["a"]))[1]) == [1]
