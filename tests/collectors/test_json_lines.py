from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.collectors.collector import Heard
from katib_py.collectors.json_lines import JsonFormat
from katib_py.collectors.lines import Line
from katib_py.core.objective import ObjectiveSpec, ObjectiveType
from katib_py.core.times import format_rfc3339

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FORMAT = JsonFormat(
    ObjectiveSpec(type=ObjectiveType.MAXIMIZE, objective_metric_name="acc", additional_metric_names=("loss",))
)


def read(text, heard=None, offset=0):
    return FORMAT.parse(Line(offset, text.encode()), NOW, heard or Heard())


def rows(text):
    return [(item.metric, item.value) for item in read(text)]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('{"acc": "0.90", "loss": 0.50}', [("acc", "0.90"), ("loss", "0.50")]),
        ('{"loss": 1e-3, "epoch": 4}', [("loss", "1e-3")]),
        ('{"loss": NaN, "acc": -Infinity}', [("loss", "NaN"), ("acc", "-Infinity")]),
        ('{"loss": "nan", "acc": " 1 "}', [("loss", "nan"), ("acc", "1")]),
        ('{"loss": "abc", "acc": true}', []),
        ('{"loss": null, "acc": [1]}', []),
        ("null", []),
        ("  ", []),
        ('{"loss": 1, "loss": 2}', [("loss", "2")]),
    ],
)
def test_numbers_and_their_text_are_read_as_written(line, values):
    assert rows(line) == values


@pytest.mark.parametrize(
    ("stamp", "time"),
    [
        ('"2021-12-02T05:27:27.5Z"', "2021-12-02T05:27:27.5Z"),
        ("1638422847.28721", "2021-12-02T05:27:27.28721Z"),
        ("1638422847.5", "2021-12-02T05:27:27.5Z"),
        ('"1638422847"', "2021-12-02T05:27:27Z"),
        ("1638422847287", "2021-12-02T05:27:27.287Z"),
        ("1638422847287210", "2021-12-02T05:27:27.28721Z"),
        ("1638422847287210000", "2021-12-02T05:27:27.28721Z"),
        ("NaN", "2026-01-01T00:00:00Z"),
        ("1e300", "2026-01-01T00:00:00Z"),
        ('"yesterday"', "2026-01-01T00:00:00Z"),
        ("[1]", "2026-01-01T00:00:00Z"),
    ],
)
def test_the_timestamp_is_rfc_3339_or_a_count_since_the_epoch(stamp, time):
    assert format_rfc3339(read(f'{{"acc": 1, "timestamp": {stamp}}}')[0].time) == time


@pytest.mark.parametrize("line", ["loss=0.5", "[1, 2]", "3", '{"loss": 0.5', "[" * 100_000])
def test_a_broken_line_is_said_and_not_fatal(line):
    heard = Heard()
    assert read(line, heard, offset=7) == []
    assert heard.notes() == ["the line at byte 7 is no JSON object; such lines are passed over"]
    assert [item.value for item in read('{"loss": 1}', heard)] == ["1"]


def test_all_values_of_a_line_have_its_place():
    assert [item.position for item in read('{"acc": 1, "loss": 2}', offset=40)] == [40, 40]


def test_other_names_are_known_while_the_objective_is_missing():
    heard = Heard()
    read('{"accuracy": 0.5, "loss": 1, "timestamp": 1, "phase": "train"}', heard)
    assert heard.names == ("accuracy",)


@given(st.dictionaries(st.sampled_from(["acc", "loss", "other"]), st.floats(), max_size=3))
def test_what_json_writes_is_what_is_measured(values):
    measured = {item.metric: float(item.value) for item in read(json.dumps(values))}
    wanted = {name: value for name, value in values.items() if name != "other"}
    assert repr(sorted(measured.items())) == repr(sorted(wanted.items()))


@given(st.text(max_size=80))
def test_no_line_breaks_the_collector(text):
    read(text)
    read(f'{{"acc": {text}, "timestamp": {text}}}')
