"""RFC 6902 JSON Patches: the smallest one between two values, as far as keys and list indices tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Operation = dict[str, Any]


def difference(old: Any, new: Any) -> list[Operation]:
    """The operations that make `old` into `new`; none where they are equal."""
    return list(_operations(old, new, ""))


def pointer(*steps: str | int) -> str:
    """The JSON Pointer to a place."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def _operations(old: Any, new: Any, path: str) -> Iterator[Operation]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        yield from _between_mappings(old, new, path)
    elif isinstance(old, list) and isinstance(new, list) and len(old) <= len(new):
        yield from _between_lists(old, new, path)
    elif not _same(old, new):
        yield {"op": "replace", "path": path, "value": new}


def _between_mappings(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> Iterator[Operation]:
    for key in old:
        if key not in new:
            yield {"op": "remove", "path": path + pointer(key)}
    for key, value in new.items():
        where = path + pointer(key)
        if key in old:
            yield from _operations(old[key], value, where)
        else:
            yield {"op": "add", "path": where, "value": value}


def _between_lists(old: Sequence[Any], new: Sequence[Any], path: str) -> Iterator[Operation]:
    """Items at one index are taken for the same item, changed; what is beyond the old end is added."""
    for index, value in enumerate(new):
        where = path + pointer(index)
        if index < len(old):
            yield from _operations(old[index], value, where)
        else:
            yield {"op": "add", "path": where, "value": value}


def _same(old: Any, new: Any) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(old == new) and isinstance(old, bool) == isinstance(new, bool)
