"""A trial as one line of JSON: what a store keeps of it, under 1 KiB for a usual search space."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from katib_py.core.objective import Metric
from katib_py.core.trial import Assignment, Rule, StopIntent, StopKind, TrialRecord, TrialState, Waiting


def pack_assignment(assignment: Assignment) -> str:
    """The text of an assignment; `unpack_assignment` reads it back."""
    return _text(_assignment_fields(assignment))


def unpack_assignment(text: str) -> Assignment:
    """The assignment of a text that `pack_assignment` or `pack` wrote."""
    return _assignment(json.loads(text))


def pack(trial: TrialRecord) -> str:
    """The text of a trial; `unpack` reads it back."""
    fields = _assignment_fields(trial.assignment)
    fields["c"] = trial.created
    fields["s"] = trial.state.value
    for key, value, default in (
        ("a", trial.attempt, 1),
        ("x", trial.retries, 0),
        ("d", trial.disruptions, 0),
        ("b", trial.started, None),
        ("e", trial.completed, None),
        ("y", trial.reason, ""),
        ("m", trial.message, ""),
        ("o", trial.observation, ()),
        ("k", trial.stop, None),
        ("w", trial.waiting, None),
        ("u", trial.uid, ""),
    ):
        if value != default:
            fields[key] = value
    return _text(fields)


def unpack(text: str) -> TrialRecord:
    """The trial of a text that `pack` wrote."""
    fields = json.loads(text)
    get = fields.get
    stop, waiting = get("k"), get("w")
    return TrialRecord(
        _assignment(fields),
        fields["c"],
        TrialState(fields["s"]),
        get("a", 1),
        get("x", 0),
        get("d", 0),
        get("b"),
        get("e"),
        get("y", ""),
        get("m", ""),
        tuple(Metric(*metric) for metric in get("o", ())),
        StopIntent(StopKind(stop[0]), *stop[1:]) if stop is not None else None,
        Waiting(*waiting) if waiting is not None else None,
        get("u", ""),
    )


def _assignment_fields(assignment: Assignment) -> dict[str, Any]:
    fields: dict[str, Any] = {"n": assignment.name, "i": assignment.index, "p": assignment.parameters}
    if assignment.labels:
        fields["l"] = assignment.labels
    if assignment.rules:
        fields["r"] = assignment.rules
    return fields


def _assignment(fields: Mapping[str, Any]) -> Assignment:
    return Assignment(
        fields["n"],
        fields["i"],
        _pairs(fields["p"]),
        _pairs(fields.get("l", ())),
        tuple(Rule(*rule) for rule in fields.get("r", ())),
    )


def _pairs(items: list[list[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((name, value) for name, value in items)


def _text(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)
