"""Writing the status of an object that we alone write: only what has changed, and only over what we know.

Kubernetes does not look at a uid in a patch of a status. The resourceVersion is what keeps the late write of a
controller that has lost its lease from undoing what its successor wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Changed
from katib_py.backends.k8s.resources import Resource
from katib_py.core.errors import Conflict
from katib_py.core.merge_patch import merge_patch

TRIES: Final = 5


class Written(NamedTuple):
    """An object as it was when we read or wrote it last."""

    uid: str
    version: str
    status: Mapping[str, Any]

    @classmethod
    def of(cls, document: Json) -> Written:
        """What is to be known of this object."""
        metadata = document["metadata"]
        return cls(metadata["uid"], metadata["resourceVersion"], document.get("status") or {})


async def write_status(
    api: Api, resource: Resource, where: tuple[str, str], known: Written, wanted: Mapping[str, Any]
) -> Written:
    """Give the object's status the keys `wanted`, those that are None being taken away; raises Conflict, Absent.

    That others change the rest of the object, as who edits a budget does, is no conflict.
    """
    for _ in range(TRIES):
        patch = merge_patch(known.status, wanted)
        if not patch:
            return known
        body = {"metadata": {"resourceVersion": known.version}, "status": patch}
        try:
            return Written.of(await api.patch(resource, where, body, "status"))
        except Changed:
            known = _agreed(resource, where, known, wanted, Written.of(await api.get(resource, *where)))
    raise Conflict(f"the {resource.kind} {where[1]} is changed again and again")


def _agreed(
    resource: Resource, where: tuple[str, str], known: Written, wanted: Mapping[str, Any], found: Written
) -> Written:
    """What was found, if its status is as we know it, or already as we want it: the answer to a write may be lost."""
    ours = found.status == known.status or not merge_patch(found.status, wanted)
    if found.uid == known.uid and ours:
        return found
    raise Conflict(f"the {resource.kind} {where[1]} was written by somebody else")
