"""What a collector leaves in its termination message: all that can be known of a trial without the db-manager."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from katib_py.core.objective import Metric

MOST_BYTES: Final = 4096  # what Kubernetes keeps of a termination message
SHORT: Final = 300
FIELDS: Final = ("name", "min", "max", "latest")


@dataclass(frozen=True, slots=True)
class Summary:
    """How a collector ended. `reported`: everything has reached the db-manager; else `reason` says why not.

    `observation` is of all that was read, the objective first; `seen` are names that look like metrics, where the
    objective never appeared; `notes` are oddities in words.
    """

    reported: bool
    reason: str = ""
    observation: tuple[Metric, ...] = ()
    seen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def write_summary(summary: Summary) -> str:
    """The summary as text that fits; what is least needed goes first where it does not."""
    return next(text for text in map(_text, _shortened(summary)) if len(text.encode(errors="replace")) <= MOST_BYTES)


def read_summary(text: str) -> Summary | None:
    """The summary in a termination message; None for any other text."""
    try:
        value = json.loads(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("reported"), bool):
        return None
    metrics = (entry for entry in _list(value.get("observation")) if isinstance(entry, dict))
    observation = tuple(Metric(*(str(entry.get(field, "")) for field in FIELDS)) for entry in metrics)
    names, notes = (tuple(str(item) for item in _list(value.get(key))) for key in ("seen", "notes"))
    return Summary(value["reported"], str(value.get("reason", "")), observation, names, notes)


def _shortened(summary: Summary) -> Iterator[Summary]:
    yield summary
    summary = replace(summary, reason=summary.reason[:SHORT], notes=tuple(note[:SHORT] for note in summary.notes[:3]))
    yield summary
    summary = replace(summary, notes=())
    yield summary
    summary = replace(summary, seen=())
    while summary.observation:
        yield summary
        summary = replace(summary, observation=summary.observation[:-1])
    yield summary
    yield replace(summary, reason="")


def _text(summary: Summary) -> str:
    observation = [metric._asdict() for metric in summary.observation]
    value: dict[str, Any] = {"reported": summary.reported, "reason": summary.reason, "observation": observation}
    value |= {"seen": list(summary.seen), "notes": list(summary.notes)}
    return json.dumps({key: item for key, item in value.items() if item or key == "reported"}, ensure_ascii=False)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
