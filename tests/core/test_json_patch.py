"""JSON Patches between two values."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.json_patch import apply

from katib_py.core.json_patch import difference

KEYS = st.sampled_from(["a", "b", "a/b", "~", "~1", ""])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES, VALUES)
def test_the_patch_makes_one_value_into_the_other(old, new):
    before = copy.deepcopy(old)
    assert repr(apply(old, difference(old, new))) == repr(reordered(new, like=apply(old, difference(old, new))))
    assert old == before


@given(VALUES)
def test_equal_values_need_no_operation(value):
    assert difference(value, copy.deepcopy(value)) == []


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [{"op": "replace", "path": "/a/b", "value": 2}]),
        ({}, {"a/b": []}, [{"op": "add", "path": "/a~1b", "value": []}]),
        ({"a": [1]}, {"a": [1, 2]}, [{"op": "add", "path": "/a/1", "value": 2}]),
        ({"a": 1}, {}, [{"op": "remove", "path": "/a"}]),
        ({"a": 1}, {"a": True}, [{"op": "replace", "path": "/a", "value": True}]),
    ],
)
def test_only_what_differs_is_touched(old, new, patch):
    assert difference(old, new) == patch


def reordered(value, like):
    """The value with its keys in the order of `like`: JSON objects have none, but 1 and True must not be confused."""
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: reordered(value[key], like[key]) for key in like}
    if isinstance(value, list) and isinstance(like, list):
        return [reordered(item, other) for item, other in zip(value, like, strict=True)]
    return value
