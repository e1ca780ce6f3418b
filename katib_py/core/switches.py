"""How a run object is held back, ended without being deleted, and let go on: merge patches for its kind's switches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.kinds import KINDS, SUSPEND, Kind, Path

LABEL_QUEUE: Final = "kueue.x-k8s.io/queue-name"
# Where Kueue holds back a kind that we do not know, it does so by this field; that it ends pods too cannot be told.
UNKNOWN: Final = Kind((), hold=SUSPEND)


def queue_of(run: Mapping[str, Any]) -> str:
    """The Kueue queue that decides when the run may begin; empty where none does."""
    labels = run["metadata"].get("labels") or {}
    return str(labels.get(LABEL_QUEUE, ""))


def is_held(run: Mapping[str, Any]) -> bool:
    """Whether the run's pods are held back, by whomever."""
    hold = _kind(run).hold
    return hold is not None and _value(run, hold.path) == hold.value


def ending(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """What ends the run's pods and keeps its object; None where only deletion does."""
    kind = _kind(run)
    if kind.end is None or (kind.end_needs and _value(run, kind.end_needs) is not True):
        return None
    # Kueue lets a run go on that it has admitted, whoever held it back.
    return None if queue_of(run) else _patch(kind.end.path, kind.end.value)


def is_ended(run: Mapping[str, Any]) -> bool:
    """Whether the run was told to end by its switch."""
    end = _kind(run).end
    return end is not None and _value(run, end.path) == end.value


def going_on(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """What lets a run go on that `ending` has ended; None where it has ended for good."""
    kind = _kind(run)
    return _patch(kind.end.path, False) if kind.end is not None and kind.end == kind.hold else None


def _kind(run: Mapping[str, Any]) -> Kind:
    return KINDS.get(str(run.get("kind")), UNKNOWN)


def _value(run: Mapping[str, Any], path: Path) -> Any:
    value: Any = run
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _patch(path: Path, value: Any) -> dict[str, Any]:
    for step in reversed(path):
        value = {step: value}
    patch: dict[str, Any] = value
    return patch
