from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.collectors.collector import Heard
from katib_py.collectors.lines import LineSplitter
from katib_py.collectors.text import TextFormat
from katib_py.core.errors import InvalidInput
from katib_py.core.objective import ObjectiveSpec, ObjectiveType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OBJECTIVE = ObjectiveSpec(
    type=ObjectiveType.MAXIMIZE, objective_metric_name="accuracy", additional_metric_names=("loss", "x", "b")
)
FORMAT = TextFormat(OBJECTIVE)


def collect(data: bytes, cuts=(), format=FORMAT, heard=None, longest=1 << 20):
    heard = heard or Heard()
    lines = LineSplitter(longest=longest)
    found = []
    edges = [0, *sorted(cuts), len(data)]
    for begin, end in itertools.pairwise(edges):
        for line in lines.feed(data[begin:end]):
            found += format.parse(line, NOW, heard)
    for line in lines.finish():
        found += format.parse(line, NOW, heard)
    return found


def read(text: str | bytes, format=FORMAT):
    data = text if isinstance(text, bytes) else text.encode()
    return [(item.metric, item.value) for item in collect(data, format=format)]


# control-plane.md §16.5
@pytest.mark.parametrize(
    ("line", "rows"),
    [
        ("accuracy==3", []),
        ("accuracy = 0.9, loss=2", [("accuracy", "0.9"), ("loss", "2")]),
        ("accuracy=1,000", [("accuracy", "1")]),
        ("x = 5.", [("x", "5")]),
        ("a/b=0.5", [("b", "0.5")]),
        ("", []),
        ("loss=0.1\r\n", [("loss", "0.1")]),
        ("accuracy=.98", [("accuracy", ".98")]),
        ("loss=-7.53e-05", [("loss", "-7.53e-05")]),
        ("x = 1E0", [("x", "1E0")]),
        ("validation_accuracy=0.9", []),
    ],
)
def test_lines_are_read_as_katib_reads_them(line, rows):
    assert read(line) == rows


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "+Inf", "Infinity", "-Infinity", "1e-5", "-2E+3"])
def test_a_value_that_python_or_numpy_prints_is_kept_as_printed(value):
    assert read(f"epoch 1: loss={value}, accuracy=0.5") == [("loss", value), ("accuracy", "0.5")]


@pytest.mark.parametrize("value", ["abc", "", "e5", "+", ".", "infinite", "nano", "'0.5'"])
def test_a_value_that_is_no_number_gives_no_measurement(value):
    assert read(f"loss={value}") == []


def test_a_line_begins_with_its_time_or_gets_the_time_of_reading():
    with_time, without = collect(b"2024-03-04T17:55:08.5+09:00 loss=0.9\nloss=0.8 at 2024-03-04T17:55:08Z\n")
    assert with_time.time == datetime(2024, 3, 4, 8, 55, 8, 500_000, tzinfo=UTC)
    assert without.time == NOW


def test_the_position_is_the_place_of_the_value_in_the_output():
    data = b"hello\nloss=0.5 accuracy=0.25\n"
    assert [data[item.position :][:3] for item in collect(data)] == [b"0.5", b"0.2"]


def test_every_refresh_of_a_progress_bar_is_a_line():
    assert read("\r 1/2 loss=0.5\r 2/2 loss=0.4\n") == [("loss", "0.5"), ("loss", "0.4")]


def test_the_last_line_needs_no_end():
    assert read("loss=1\nloss=0.5") == [("loss", "1"), ("loss", "0.5")]


def test_bytes_that_are_no_text_do_not_hide_the_metrics_beside_them():
    assert read(b"\xff\xfe\x00loss=0.3\xff accuracy=1\xc3\n") == [("loss", "0.3"), ("accuracy", "1")]
    custom = TextFormat(OBJECTIVE, (r"(loss).(\d+)",))
    assert read(b"\xe4 loss\xff7\n", custom) == [("loss", "7")]


def test_a_very_long_line_is_cut_said_once_and_the_next_one_read():
    heard = Heard()
    data = (b"loss=0.5 " + b"." * 100 + b" loss=0.7\n") * 2 + b"loss=0.1\n"
    found = collect(data, heard=heard, longest=64)
    assert [item.value for item in found] == ["0.5", "0.5", "0.1"]
    assert heard.notes() == ["a line at byte 0 is longer than 64 bytes; its rest is not read"]


def test_a_value_at_the_cut_is_not_believed():
    assert collect(b"loss=0.123456\n", longest=8) == []


def test_custom_filters_take_the_first_two_groups():
    metrics = TextFormat(OBJECTIVE, (r"{metricName: ([\w|-]+), metricValue: ((-?\d+)(\.\d+)?)}",))
    assert read("{metricName: loss, metricValue: -0.4759}{metricName: x, metricValue: 100}", metrics) == [
        ("loss", "-0.4759"),
        ("x", "100"),
    ]
    assert read("{metricName: loss, metricValue: .333} loss=1", metrics) == []


def test_two_filters_that_find_one_value_give_one_measurement():
    both = TextFormat(OBJECTIVE, (r"(loss)=(\S+)", r"(\w+)\s*=\s*([\d.]+)"))
    assert read("loss=0.5 x=1", both) == [("loss", "0.5"), ("x", "1")]


def test_every_filter_that_cannot_be_used_is_named():
    with pytest.raises(InvalidInput) as caught:
        TextFormat(OBJECTIVE, ("(a", r"(\w+)=\d", r"(a)(?=b)(c)", r"(\w+)=(\d)"))
    assert [str(problem) for problem in caught.value.problems] == [
        "spec.metricsCollectorSpec.source.filter.metricsFormat[0]: is '(a'; must be an RE2 expression (missing ): (a)",
        r"spec.metricsCollectorSpec.source.filter.metricsFormat[1]: is '(\\w+)=\\d'; "
        "must have two groups, name and value; it has 1",
        "spec.metricsCollectorSpec.source.filter.metricsFormat[2]: is '(a)(?=b)(c)'; "
        "must be an RE2 expression (invalid perl operator: (?=)",
    ]


def test_names_are_collected_until_the_objective_appears():
    heard = Heard()
    collect(b"acc=0.5 loss=1\nacc=0.6\nval-acc=0.5\nfoo=bar\n", heard=heard)
    assert heard.names == ("acc", "val-acc")
    collect(b"accuracy=1\nlater=1\n", heard=heard)
    assert heard.names == ("acc", "val-acc")


def test_at_most_twenty_names_are_remembered():
    heard = Heard()
    collect(b"".join(b"name%d=1\n" % number for number in range(1000)), heard=heard)
    assert len(heard.names) == 20


fragments = st.sampled_from(
    [
        b"loss=",
        b"0.5",
        b"nan",
        b" ",
        b"\n",
        b"\r",
        b"\r\n",
        b"accuracy",
        b" = ",
        b"1e-3",
        b"\xff",
        b"2024-03-04T17:55:08Z ",
        b"x=1",
    ]
)
outputs = st.lists(fragments, max_size=40).map(b"".join)


@given(data=outputs, cuts=st.lists(st.integers(0, 200), max_size=10))
def test_any_chunking_of_the_same_bytes_gives_the_same_measurements(data, cuts):
    cuts = [min(cut, len(data)) for cut in cuts]
    assert collect(data, cuts, longest=24) == collect(data, longest=24)


@given(st.binary(max_size=200))
def test_no_output_breaks_the_collector(data):
    collect(b"loss=" + data, format=TextFormat(OBJECTIVE, (r"(loss)=(.*)",)))
    collect(data + b"loss=1")
