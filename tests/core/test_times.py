from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.times import format_rfc3339, from_microseconds, parse_rfc3339, to_microseconds


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2024-03-04T17:55:08Z", "2024-03-04T17:55:08Z"),
        ("2024-03-04T17:55:08+09:00", "2024-03-04T08:55:08Z"),
        ("2024-03-04T17:55:08.123456789Z", "2024-03-04T17:55:08.123456Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
    ],
)
def test_rfc_3339_is_read_as_utc_and_cut_to_microseconds(text, meaning):
    time = parse_rfc3339(text)
    assert time is not None
    assert format_rfc3339(time) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20240304",
        "2024-03-04",
        "2024-03-04T17:55:08",
        "2024-13-04T17:55:08Z",
        "0001-01-01T00:00:00+09:00",
        "٢024-03-04T17:55:08Z",
    ],
)
def test_anything_else_is_no_time(text):
    assert parse_rfc3339(text) is None


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive_text_and_microseconds(time: datetime):
    assert parse_rfc3339(format_rfc3339(time)) == time
    assert from_microseconds(to_microseconds(time)) == time
