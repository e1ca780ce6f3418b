"""A Trial object back to the record that it was built from; Trials that Katib wrote are read as well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from katib_py.core.names import ANNOTATION_INDEX
from katib_py.core.objective import Metric
from katib_py.core.status import parse_time
from katib_py.core.trial import (
    Assignment,
    Parameters,
    Rule,
    StopIntent,
    StopKind,
    TrialRecord,
    TrialState,
    Waiting,
)

UNNUMBERED: Final = -1  # the index of a Trial that says nothing of its own, as Katib's


def read_trial(document: Mapping[str, Any]) -> TrialRecord:
    """The record of a Trial object; the index is UNNUMBERED where the object has none."""
    metadata, spec, status = (_mapping(document.get(key)) for key in ("metadata", "spec", "status"))
    conditions = {str(entry.get("type")): entry for entry in _mappings(status.get("conditions"))}
    state, stop, completed = _state(conditions), _stop(status.get("stop")), parse_time(status.get("completionTime"))
    if state is TrialState.EARLY_STOPPED and completed is None:
        # Katib's early stopping services say it of a trial whose run has yet to be ended.
        state, stop = TrialState.RUNNING, stop or StopIntent(StopKind.EARLY_STOPPED, "its rules were met", True)
    last = conditions.get(state.value, {}) if state.finished else {}
    return TrialRecord(
        _assignment(metadata, spec),
        parse_time(metadata.get("creationTimestamp")) or 0.0,
        state,
        attempt=_count(status.get("attempt"), 1),
        retries=_count(status.get("retries"), 0),
        disruptions=_count(status.get("disruptions"), 0),
        started=parse_time(status.get("startTime")) if "Running" in conditions else None,
        completed=completed,
        reason=str(last.get("reason") or ""),
        message=str(last.get("message") or ""),
        observation=_observation(status.get("observation")),
        stop=stop,
        waiting=_waiting(conditions.get("Waiting")),
        uid=str(metadata.get("uid") or ""),
    )


def _assignment(metadata: Mapping[str, Any], spec: Mapping[str, Any]) -> Assignment:
    index = _mapping(metadata.get("annotations")).get(ANNOTATION_INDEX)
    return Assignment(
        str(metadata.get("name") or ""),
        int(index) if isinstance(index, str) and index.isdecimal() else UNNUMBERED,
        pairs(spec.get("parameterAssignments")),
        tuple((str(key), str(value)) for key, value in sorted(_mapping(spec.get("labels")).items())),
        rules(spec.get("earlyStoppingRules")),
    )


def pairs(items: Any) -> Parameters:
    """A list of {name, value} as pairs."""
    return tuple((str(item.get("name", "")), str(item.get("value", ""))) for item in _mappings(items))


def rules(items: Any) -> tuple[Rule, ...]:
    """A list of earlyStoppingRules."""
    return tuple(
        Rule(
            str(item.get("name", "")),
            str(item.get("value", "")),
            str(item.get("comparison", "")),
            _count(item.get("startStep"), 0),
        )
        for item in _mappings(items)
    )


def _state(conditions: Mapping[str, Mapping[str, Any]]) -> TrialState:
    held = {name for name, entry in conditions.items() if entry.get("status") == "True"}
    # Of several that hold, an end outranks Running.
    ends = (state for state in TrialState if state.finished and state.value in held)
    return next(ends, TrialState.RUNNING if TrialState.RUNNING.value in held else TrialState.CREATED)


def _observation(value: Any) -> tuple[Metric, ...]:
    metrics = _mappings(_mapping(value).get("metrics"))
    return tuple(Metric(*(str(metric.get(key, "")) for key in Metric._fields)) for metric in metrics)


def _stop(value: Any) -> StopIntent | None:
    stop = _mapping(value)
    kind = str(stop.get("kind", ""))
    if kind not in {*StopKind}:
        return None
    return StopIntent(StopKind(kind), str(stop.get("message", "")), stop.get("told") is True)


def _waiting(entry: Mapping[str, Any] | None) -> Waiting | None:
    if entry is None:
        return None
    since = parse_time(entry.get("lastTransitionTime")) or 0.0
    return Waiting(str(entry.get("reason", "")), str(entry.get("message", "")), since)


def _count(value: Any, default: int) -> int:
    return value if isinstance(value, int) else default


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
