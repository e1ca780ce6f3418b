"""An experiment's Suggestion object: every assignment is written down there before it is used."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple, NoReturn

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, AlreadyExists, Refused, Unreachable
from katib_py.backends.k8s.resources import SUGGESTIONS
from katib_py.controller.ports import Change, Key, SuggestionRecord
from katib_py.core.errors import Conflict
from katib_py.core.experiment import Experiment, ResumePolicy
from katib_py.core.names import API_VERSION
from katib_py.core.objects import owned, suggestion_entry, suggestion_spec
from katib_py.core.read_suggestion import AGAIN, NEVER_AGAIN, SuggestionRead, read_suggestion, suggestion_conditions
from katib_py.core.trial import Assignment

LISTED_BYTES: Final = 64 << 10  # of assignments that are Trials already; those that are not yet are always listed


class Entry(NamedTuple):
    """An assignment in the object's list, and how long its JSON is."""

    name: str
    size: int


class Ledger:
    """Appends to status.suggestions if nobody was faster; the oldest that are Trials leave when the list grows long."""

    def __init__(self, api: Api, key: Key) -> None:
        self._api = api
        self._key = key
        self._there = False
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._patched = False  # whether the object's list is surely one that a JSON Patch can add to
        self._requests = 0
        self._over: tuple[str, str] | None = None

    async def load(self, experiment: Experiment) -> SuggestionRead:
        """What the object says; nothing where there is none, or only one of an earlier experiment of that name."""
        try:
            document = await self._api.get(SUGGESTIONS, *self._key)
        except Absent:
            return SuggestionRead()
        if not owned_by(document, experiment.metadata.uid):
            return SuggestionRead()
        read = read_suggestion(document)
        self._there, self._requests = True, read.requests
        for assignment in read.listed:
            self._add(suggestion_entry(assignment))
        return read

    async def write(self, experiment: Experiment, change: Change, unused: Collection[str], now: float) -> None:
        """Write the change's part of the Suggestion; raises Conflict where other assignments were recorded."""
        record = change.suggestion
        if record is None and not change.assignments:
            return
        created = None if self._there else await self._create(experiment, record)
        if not self._patched:
            await self._put_all(created or await self._api.get(SUGGESTIONS, *self._key), change, now)
            return
        operations = self._operations(change, unused, now)
        try:
            await self._api.patch(SUGGESTIONS, self._key, operations, "status")
        except Refused as error:
            if error.status == 422 and change.assignments:
                raise Conflict(f"the Suggestion of {self._key.name} has changed: {error}") from error
            raise

    async def settle(self, experiment: Experiment, record: SuggestionRecord, over: bool, now: float) -> None:
        """Bring what nobody waits for up to date: spec.requests, and that the search is over or goes on."""
        if not self._there:
            return
        if record.requests != self._requests:
            await self._api.patch(SUGGESTIONS, self._key, {"spec": {"requests": record.requests}})
            self._requests = record.requests
        texts = _over(experiment) if over else None
        if texts != self._over:
            body = {"status": {"conditions": suggestion_conditions(record.failed, texts, now)}}
            await self._api.patch(SUGGESTIONS, self._key, body, "status")
            self._over = texts

    async def _create(self, experiment: Experiment, record: SuggestionRecord | None) -> Json:
        requests = record.requests if record else 0
        labels = dict(experiment.metadata.labels)
        body = {
            "apiVersion": API_VERSION,
            "kind": "Suggestion",
            "metadata": {**owned(experiment, self._key.name), **({"labels": labels} if labels else {})},
            "spec": suggestion_spec(experiment, requests),
        }
        try:
            created = await self._api.create(SUGGESTIONS, self._key.namespace, body)
        except AlreadyExists as error:
            return await self._give_way(experiment, error)
        self._there, self._requests = True, requests
        return created

    async def _give_way(self, experiment: Experiment, error: AlreadyExists) -> NoReturn:
        """One of our own that we did not know of is a conflict; one of an earlier experiment is about to go."""
        document = await self._api.get(SUGGESTIONS, *self._key)
        if owned_by(document, experiment.metadata.uid):
            raise Conflict(f"the Suggestion of {self._key.name} was made by somebody else") from error
        words = f"the Suggestion {self._key.name} of an earlier experiment is still there"
        raise Unreachable(409, "AlreadyExists", words) from error

    async def _put_all(self, document: Json, change: Change, now: float) -> None:
        """The first write: the list as a whole, whatever state the object's is in, if it has our count."""
        read = read_suggestion(document)
        if change.assignments and read.assigned != change.assigned_before:
            raise Conflict(f"{read.assigned} assignments are recorded, not {change.assigned_before}")
        entries = [*((document.get("status") or {}).get("suggestions") or []), *_entries(change)]
        status: Json = {**self._facts(change, now), "suggestionCount": read.assigned + len(change.assignments)}
        version = document["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "status": {**status, "suggestions": entries}}
        await self._api.patch(SUGGESTIONS, self._key, body, "status")
        for entry in _entries(change):
            self._add(entry)
        self._patched = True

    def _operations(self, change: Change, unused: Collection[str], now: float) -> list[Json]:
        operations: list[Json] = []
        if change.assignments:
            count = change.assigned_before
            operations.append({"op": "test", "path": "/status/suggestionCount", "value": count})
            for entry in _entries(change):
                operations.append({"op": "add", "path": "/status/suggestions/-", "value": entry})
                self._add(entry)
            count += len(change.assignments)
            operations.append({"op": "replace", "path": "/status/suggestionCount", "value": count})
            operations += [{"op": "remove", "path": "/status/suggestions/0"}] * self._trim(unused)
        facts = self._facts(change, now)
        return operations + [{"op": "add", "path": f"/status/{name}", "value": value} for name, value in facts.items()]

    def _facts(self, change: Change, now: float) -> Json:
        """The keys of status besides the assignments that the change sets."""
        record = change.suggestion
        facts: Json = {}
        if not self._patched:
            facts["conditions"] = suggestion_conditions(record.failed if record else "", None, now)
        if record is None:
            return facts
        if record.ended:
            facts["ended"] = True
        if record.failed:
            facts["conditions"] = suggestion_conditions(f"Validation failed: {record.failed}", None, now)
        if record.settings:
            facts["algorithmSettings"] = [{"name": name, "value": value} for name, value in record.settings]
        return facts

    def _add(self, entry: Mapping[str, Any]) -> None:
        size = len(json.dumps(entry))
        self._entries.append(Entry(entry["name"], size))
        self._bytes += size

    def _trim(self, unused: Collection[str]) -> int:
        """How many of the oldest entries leave the list."""
        count = 0
        while self._bytes > LISTED_BYTES and self._entries[0].name not in unused:
            self._bytes -= self._entries.popleft().size
            count += 1
        return count


def owned_by(document: Mapping[str, Any], uid: str) -> bool:
    """Whether the object's controller is the one with this uid."""
    owners = document["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == uid for owner in owners)


def _entries(change: Change) -> Iterable[Json]:
    return [suggestion_entry(assignment) for assignment in change.assignments]


def _over(experiment: Experiment) -> tuple[str, str] | None:
    """What becomes of the Suggestion when the experiment has ended; nothing with LongRunning, as in Katib."""
    match experiment.spec.resume_policy:
        case ResumePolicy.LONG_RUNNING:
            return None
        case ResumePolicy.FROM_VOLUME:
            return AGAIN
    return NEVER_AGAIN


def assignments_without(read: SuggestionRead, names: Collection[str]) -> tuple[Assignment, ...]:
    """The listed assignments of which there is no Trial."""
    return tuple(item for item in read.listed if item.name not in names)
