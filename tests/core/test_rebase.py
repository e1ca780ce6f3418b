"""An edit by who read the object before its status was last written."""

import pytest
from support.json_patch import apply

from katib_py.core.rebase import rebased

METADATA = {
    "name": "demo",
    "uid": "u",
    "generation": 3,
    "resourceVersion": "10",
    "labels": {"team": "a"},
    "creationTimestamp": "2026-01-01T00:00:00Z",
}


def stored(version="10", trials=4, **metadata):
    return {"metadata": {**METADATA, "resourceVersion": version, **metadata}, "status": {"trials": trials}}


def written_by(time):
    return {"managedFields": [{"manager": "katib-py", "subresource": "status", "time": time}]}


@pytest.mark.parametrize(
    "read",
    [
        stored(),
        stored(creationTimestamp="2026-01-01T00:00:00+00:00"),
        stored(finalizers=[], annotations=None),
        stored(trials=5, **written_by("2026-01-01T00:00:01Z")),
        {"metadata": METADATA},
    ],
)
def test_nothing_but_the_status_was_written_since(read):
    now = stored("11", 5, **written_by("2026-01-01T00:00:02Z"))
    assert apply(read, rebased(read, now))["metadata"]["resourceVersion"] == "11"


@pytest.mark.parametrize(
    ("read", "now"),
    [
        (stored(), stored()),
        (stored(), stored("11", 5, generation=4)),
        (stored(), stored("11", 5, labels={"team": "b"})),
        (stored(), stored("11", 5, finalizers=["keep"])),
        (stored(annotations={"note": "mine"}), stored("11", 5)),
        (stored(), stored("11")),
        (stored(None), stored("11", 5)),
        (stored("10", 5), stored("11", 5)),
        (stored(), None),
        (None, stored()),
        ([], {}),
        ({}, {}),
    ],
)
def test_whatever_else_was_written_or_may_have_been_counts(read, now):
    assert rebased(read, now) == []
