"""A container's output is read through an API that knows whole seconds only: nothing is lost, nothing comes twice."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from katib_py.backends.k8s.errors import Unreachable
from katib_py.backends.k8s.logs import LogReader, Output
from katib_py.collectors.text import TextFormat
from katib_py.core.objective import ObjectiveSpec

OBJECTIVE = ObjectiveSpec.model_validate({"type": "minimize", "objectiveMetricName": "loss"})
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OUTPUT = Output("team", "demo-x-1", "main")


class Kubelet:
    """A container's log as a kubelet serves it: lines since a second, as far as they have been printed and are kept."""

    def __init__(self, zone=UTC):
        self.lines = []  # moment and text
        self.rotated = 0  # of the oldest, how many are gone
        self.tail = b""  # what follows the last line
        self.breaks_after = None  # bytes, before the connection is lost
        self.asked = []
        self._zone = zone

    def say(self, microseconds, text):
        self.lines.append((BEGIN + timedelta(microseconds=microseconds), text))

    @asynccontextmanager
    async def stream(self, path, silence):
        query = {key: values[0] for key, values in parse_qs(urlsplit(path).query).items()}
        self.asked.append(query)
        since = datetime.fromisoformat(query["sinceTime"]) if "sinceTime" in query else BEGIN
        kept = [line for line in self.lines[self.rotated :] if line[0] >= since]
        body = b"".join(self._written(*line) + b"\n" for line in kept) + self.tail
        yield SimpleNamespace(content=SimpleNamespace(iter_any=lambda: self._chunks(body)))

    async def _chunks(self, body):
        limit = len(body) if self.breaks_after is None else self.breaks_after
        for start in range(0, min(limit, len(body)), 7):
            yield body[start : min(start + 7, limit)]
        if limit < len(body):
            raise Unreachable(0, "Unreachable", "the connection is lost")

    def _written(self, moment, text):
        # Kubelets write nanoseconds, and no zeros at the end of a fraction.
        stamp = f"{moment.astimezone(self._zone):%Y-%m-%dT%H:%M:%S.%f}123".rstrip("0")
        offset = moment.astimezone(self._zone).isoformat()[-6:]
        return f"{stamp}{'Z' if offset == '+00:00' else offset} {text}".encode()


def reader(kubelet, position=None):
    return LogReader(kubelet, OUTPUT, TextFormat(OBJECTIVE), position)


def read(reader, **how):
    """The measurements of one reading; whether it came to its end."""

    async def collect():
        found = []
        try:
            async for items in reader.read(**how):
                found += items
        except Unreachable:
            return found, False
        return found, True

    return asyncio.run(collect())


def values(measurements):
    return [item.value for item in measurements]


def test_what_was_read_is_not_read_again_and_what_is_new_is():
    kubelet = Kubelet()
    found = reader(kubelet)
    kubelet.say(100, "loss=1")
    kubelet.say(200, "loss=2")
    assert values(read(found)[0]) == ["1", "2"]
    kubelet.say(300, "loss=3")
    assert values(read(found)[0]) == ["3"]
    assert kubelet.asked[1]["sinceTime"] == "2026-01-01T00:00:00Z"


def test_lines_of_one_time_are_told_apart():
    kubelet = Kubelet()
    found = reader(kubelet)
    for text in ("loss=1", "loss=1", "loss=2"):
        kubelet.say(100, text)
    first = read(found)[0]
    assert values(first) == ["1", "1", "2"]
    assert len({item.position for item in first}) == 3
    kubelet.say(100, "loss=1")
    assert values(read(found)[0]) == ["1"]


def test_a_line_that_is_stamped_before_one_read_already_is_read():
    """Standard output and standard error are stamped apart from each other."""
    kubelet = Kubelet()
    found = reader(kubelet)
    kubelet.say(200, "loss=2")
    assert values(read(found)[0]) == ["2"]
    kubelet.say(100, "loss=1")
    assert values(read(found)[0]) == ["1"]


def test_of_a_rotated_log_the_rest_is_read():
    kubelet = Kubelet()
    found = reader(kubelet)
    for number in range(5):
        kubelet.say(100, f"loss={number}")
    read(found)
    kubelet.rotated = 4
    kubelet.say(100, "loss=5")
    assert values(read(found)[0]) == ["5"]


def test_a_progress_bar_measures_with_each_of_its_drawings():
    kubelet = Kubelet()
    kubelet.say(100, "loss=3\rloss=2\rloss=1")
    kubelet.say(200, "loss=0\r")
    found = read(reader(kubelet))[0]
    assert values(found) == ["3", "2", "1", "0"]
    assert len({item.position for item in found}) == 4


def test_a_line_without_its_end_is_left_until_it_is_the_last_reading():
    kubelet = Kubelet()
    found = reader(kubelet)
    kubelet.tail = b"2026-01-01T00:00:01.5Z loss=0."
    assert values(read(found)[0]) == []
    kubelet.tail = b"2026-01-01T00:00:01.5Z loss=0.25"
    assert values(read(found, last=True)[0]) == ["0.25"]


def test_a_node_in_another_time_zone_is_asked_for_the_right_second():
    kubelet = Kubelet(timezone(timedelta(hours=8)))
    found = reader(kubelet)
    kubelet.say(100, "loss=1")
    (first,) = read(found)[0]
    assert first.time == BEGIN + timedelta(microseconds=100)
    kubelet.say(2_000_000, "loss=2")
    assert values(read(found)[0]) == ["2"]


def test_another_controller_reads_on_in_the_second_of_what_is_recorded():
    kubelet = Kubelet()
    for second in range(5):
        kubelet.say(second * 1_000_000, f"loss={second}")
    recorded = read(reader(kubelet))[0]
    again = read(reader(kubelet, recorded[3].position))[0]
    assert [(item.position, item.value) for item in again] == [(item.position, item.value) for item in recorded[3:]]


def test_an_answer_that_is_no_log_is_noted_once():
    kubelet = Kubelet()
    kubelet.tail = b"unable to retrieve container logs for containerd://1\nfailed\n"
    found = reader(kubelet)
    assert read(found) == ([], True)
    (note,) = found.notes()
    assert "unable to retrieve container logs" in note


moments = st.lists(st.integers(0, 3_000_000) | st.sampled_from([5, 999_999, 1_000_000]), max_size=20)
breaks = st.lists(st.none() | st.integers(0, 400), min_size=1, max_size=5)


@given(moments.map(sorted), breaks, st.integers(0, 20))
def test_however_often_the_connection_breaks_nothing_is_lost_or_doubled(moments, breaks, printed):
    kubelet = Kubelet()
    found, read_so_far = reader(kubelet), []
    lines = [(moment, f"loss={number}") for number, moment in enumerate(moments)]
    for limit in breaks:
        told, lines = lines[:printed], lines[printed:]
        for line in told:
            kubelet.say(*line)
        kubelet.breaks_after = limit
        read_so_far += read(found)[0]
    for line in lines:
        kubelet.say(*line)
    kubelet.breaks_after = None
    read_so_far += read(found, last=True)[0]
    assert values(read_so_far) == [str(number) for number in range(len(moments))]
    assert len({item.position for item in read_so_far}) == len(moments)


@given(moments.map(sorted))
def test_positions_are_the_same_whoever_reads(moments):
    kubelet = Kubelet()
    for number, moment in enumerate(moments):
        kubelet.say(moment, f"loss={number}")
    piecemeal, pieces = reader(kubelet), []
    for limit in (50, 200, None):
        kubelet.breaks_after = limit
        pieces += read(piecemeal)[0]
    kubelet.breaks_after = None
    assert pieces == read(reader(kubelet))[0]
