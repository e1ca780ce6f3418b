"""An edit by who read the object before its status was last written: made as if it had been read after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.json_patch import Operation

# Of metadata, what an author may set; the rest is the API server's.
OWN: Final = ("labels", "annotations", "finalizers", "ownerReferences")


def rebased(new: Any, old: Any) -> list[Operation]:
    """The patch that has a whole object, read and sent back with a change, pass for one that was read just now.

    Clients send resourceVersion along, by which an edit is refused if anything was written since; and a running
    experiment's status is written every second. Where nothing but the status was, which an edit cannot touch, nobody's
    change can be lost. Empty where that is not certain.
    """
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return []
    given, stored = _metadata(new), _metadata(old)
    version = stored.get("resourceVersion")
    # Who sends no status may send no generation either, and then has that of the stored object.
    if given.get("resourceVersion") in {version, None} or _status(new) == _status(old):
        return []
    if given.get("generation") != stored.get("generation"):
        return []
    if any((given.get(key) or None) != (stored.get(key) or None) for key in OWN):
        return []
    return [{"op": "replace", "path": "/metadata/resourceVersion", "value": version}]


def _metadata(document: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = document.get("metadata")
    return metadata if isinstance(metadata, Mapping) else {}


def _status(document: Mapping[str, Any]) -> tuple[Any, list[Any]]:
    """The status, and by whom and when its fields were set."""
    entries = [entry for entry in _metadata(document).get("managedFields") or () if isinstance(entry, Mapping)]
    return document.get("status"), [entry for entry in entries if entry.get("subresource") == "status"]
