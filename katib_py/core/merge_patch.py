"""RFC 7396 merge patches: the smallest one between two objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """What changes `old` so that it has all of `new`; empty where it has.

    A key that is null in `new` is taken away; a key that only `old` has stays, except within an object of `new`.
    """
    patch: dict[str, Any] = {}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch(before, {**dict.fromkeys(before), **value}):
                patch[key] = inner
        elif before != value:
            patch[key] = value
    return patch
