"""A GetSuggestions request taken apart without parsing its trials, which are most of it."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from katib_py.core.errors import InvalidInput, Problem
from katib_py.wire import api

# A protobuf key is field number * 8 + wire type.
TRIALS_KEY = api.GetSuggestionsRequest.TRIALS_FIELD_NUMBER << 3 | 2
SIZES = {1: 8, 5: 4}


def split(raw: bytes) -> tuple[api.GetSuggestionsRequest, list[bytes]]:
    """The request without its trials, and the bytes of each trial. Raises InvalidInput for anything else."""
    trials: list[bytes] = []
    rest = bytearray()
    at, end = 0, len(raw)
    try:
        while at < end:
            begin = at
            key, at = _varint(raw, at)
            if key & 7 == 2:
                size, at = _varint(raw, at)
                at += size
            elif key & 7 == 0:
                _, at = _varint(raw, at)
            else:
                at += SIZES[key & 7]
            if key == TRIALS_KEY and at <= end:
                trials.append(raw[at - size : at])
            else:
                rest += raw[begin:at]
        if at > end:
            raise DecodeError("cut short")
        return api.GetSuggestionsRequest.FromString(bytes(rest)), trials
    except (IndexError, KeyError, DecodeError) as error:
        raise _unreadable(error) from error


def parse_trials(raw: Iterable[bytes]) -> list[api.Trial]:
    """The trials of these bytes; raises InvalidInput."""
    try:
        return [api.Trial.FromString(item) for item in raw]
    except DecodeError as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> InvalidInput:
    return InvalidInput([Problem("", f"this is no GetSuggestionsRequest: {error}")])


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = raw[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
