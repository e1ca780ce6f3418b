"""What a Suggestion object says: the record of the search, and the assignments that it lists."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from katib_py.core.read_trial import pairs, rules
from katib_py.core.status import ConditionEntry
from katib_py.core.trial import Assignment

# Katib's reasons and messages (api.md §3.3), spaces and all.
CREATED: Final = ("SuggestionCreated", "Suggestion is created")
READY: Final = ("DeploymentReady", "Deployment is ready")
RUNNING: Final = ("SuggestionRunning", "Suggestion is running")
REFUSED: Final = "Validation failed: "
OVER: Final = "Suggestion is succeeded"
NEVER_AGAIN: Final = ("Experiment is succeeded", "Suggestion is succeeded, can't be restarted")
AGAIN: Final = (
    "Experiment is succeeded",
    "Suggestion is succeeded, suggestion volume is not deleted, can be restarted",
)


class SuggestionRead(NamedTuple):
    """The counters and lists of a Suggestion; `listed` are the newest of its `assigned` assignments, in order."""

    requests: int = 0
    assigned: int = 0
    ended: bool = False
    failed: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    listed: tuple[Assignment, ...] = ()


def read_suggestion(document: Mapping[str, Any]) -> SuggestionRead:
    """What a Suggestion says; anything that is not there is at its beginning."""
    spec, status = document.get("spec") or {}, document.get("status") or {}
    entries = status.get("suggestions") or []
    assigned = int(status.get("suggestionCount") or len(entries))
    first = assigned - len(entries)
    listed = tuple(_assignment(entry, first + place) for place, entry in enumerate(entries))
    failed: Mapping[str, Any] = next((entry for entry in status.get("conditions") or () if _fails(entry)), {})
    return SuggestionRead(
        int(spec.get("requests") or 0),
        assigned,
        bool(status.get("ended")),
        str(failed.get("message") or "").removeprefix(REFUSED),
        pairs(status.get("algorithmSettings")),
        listed,
    )


def suggestion_conditions(failed: str, over: tuple[str, str] | None, since: float) -> list[dict[str, Any]]:
    """The conditions of a Suggestion: at work, `failed` with these words, or `over` with this reason and message."""
    at_work = failed == "" and over is None
    entries = [_condition("Created", True, CREATED, since)]
    if over is not None and not failed:
        entries.append(_condition("DeploymentReady", False, (OVER, "Deployment is not ready"), since))
        entries.append(_condition("Running", False, (OVER, "Suggestion is not running"), since))
        entries.append(_condition("Succeeded", True, over, since))
        return entries
    entries.append(_condition("DeploymentReady", True, READY, since))
    entries.append(_condition("Running", at_work, RUNNING, since))
    if failed:
        entries.append(_condition("Failed", True, ("SuggestionFailed", REFUSED + failed), since))
    return entries


def _condition(kind: str, holds: bool, texts: tuple[str, str], since: float) -> dict[str, Any]:
    return ConditionEntry(kind, "True" if holds else "False", *texts, since, since).dump()


def _fails(entry: Mapping[str, Any]) -> bool:
    return entry.get("type") == "Failed" and entry.get("status") == "True"


def _assignment(entry: Mapping[str, Any], index: int) -> Assignment:
    return Assignment(
        str(entry.get("name", "")),
        index,
        pairs(entry.get("parameterAssignments")),
        tuple(sorted((str(key), str(value)) for key, value in (entry.get("labels") or {}).items())),
        rules(entry.get("earlyStoppingRules")),
    )
