from __future__ import annotations

import os
from datetime import UTC, datetime

import pytest

from katib_py.collectors.files import FileCollector
from katib_py.collectors.text import TextFormat
from katib_py.core.objective import ObjectiveSpec, ObjectiveType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORMAT = TextFormat(ObjectiveSpec(type=ObjectiveType.MINIMIZE, objective_metric_name="loss"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.log"


@pytest.fixture
def collector(path):
    return FileCollector(path, FORMAT)


def values(collector, final=False):
    return [item.value for item in collector.read(NOW, final)]


def test_a_file_is_followed_from_before_it_exists(path, collector):
    assert values(collector) == []
    with path.open("a") as file:
        for number in range(3):
            print(f"loss={number}", file=file, flush=True)
            assert values(collector) == [str(number)]
    assert values(collector) == []


def test_an_unfinished_line_waits_for_its_end_or_for_the_programs(path, collector):
    path.write_text("loss=0.1")
    assert values(collector) == []
    path.write_text("loss=0.12\nloss=0.3")
    assert values(collector) == ["0.12"]
    assert values(collector, final=True) == ["0.3"]


def test_a_file_written_anew_is_read_again_and_said_once(path, collector):
    path.write_text("loss=1\nloss=2\n")
    before = collector.read(NOW)
    path.write_text("loss=3\n")
    after = collector.read(NOW)
    assert [item.value for item in before + after] == ["1", "2", "3"]
    assert after[0].position > before[-1].position
    assert collector.notes() == [f"{path} was written anew; it is read again from its beginning"]
    assert collector.notes() == []


def test_a_replaced_file_is_read_from_its_beginning(path, collector):
    path.write_text("loss=1\n")
    collector.read(NOW)
    other = path.with_name("new")
    other.write_text("loss=2\nloss=3\n")
    os.replace(other, path)
    assert values(collector) == ["2", "3"]


def test_a_file_larger_than_one_reading_is_read_whole_in_the_end(path, collector):
    path.write_bytes(b"x" * 5_000_000 + b"\n" + b"loss=1\n" * 200_000)
    assert len(values(collector)) < 200_000
    assert len(values(collector, final=True)) > 100_000
    assert "longer than 1048576 bytes" in collector.notes()[0]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_what_is_no_file_is_said_and_not_waited_for(path, collector, kind):
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    assert values(collector, final=True) == []
    assert collector.notes() == [f"{path} is no regular file; nothing is read from it"]


def test_the_names_in_the_file_are_known(path, collector):
    path.write_text("los=1\n")
    collector.read(NOW)
    assert collector.seen == ("los",)
