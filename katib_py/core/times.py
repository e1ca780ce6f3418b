"""Times as text and as numbers, all in UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_rfc3339(text: str) -> datetime | None:
    """The time in UTC, cut to microseconds; None for text that is no RFC 3339 time."""
    if not _RFC3339.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def format_rfc3339(time: datetime) -> str:
    """RFC 3339 in UTC with as many digits of the fraction as there are, at most six, and a literal Z."""
    text = time.astimezone(UTC).isoformat().removesuffix("+00:00")
    return f"{text.rstrip('0') if '.' in text else text}Z"


def to_microseconds(time: datetime) -> int:
    """Microseconds since the epoch."""
    return (time - EPOCH) // _MICROSECOND


def from_microseconds(value: int) -> datetime:
    """The time of so many microseconds since the epoch; raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=value)
