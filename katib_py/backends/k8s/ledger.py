"""An experiment's Suggestion object: every assignment is written down there before it is used."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, AlreadyExists, Occupied
from katib_py.backends.k8s.owners import owned_by
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


class Addition(NamedTuple):
    """What a write does to the list: these are added, so many of the oldest leave, and then it counts `assigned`."""

    entries: Sequence[Json]
    dropped: int
    assigned: int


class Ledger:
    """Appends to status.suggestions if nobody was faster; the oldest that are Trials leave when the list grows long.

    A write that failed half way may be tried again, with more: what the object has already is passed over.
    """

    def __init__(self, api: Api, key: Key) -> None:
        self._api = api
        self._key = key
        self._uid = ""  # empty while there is no object
        self._entries: deque[Entry] = deque()
        self._bytes = 0
        self._counted = 0  # by the object
        self._assigned = 0  # truly: an object that somebody has deleted counts anew
        self._shown = False  # whether the object has a status
        self._patched = False  # whether its list is surely one that a JSON Patch can add to
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
        self._uid, self._requests = document["metadata"]["uid"], read.requests
        self._counted = self._assigned = read.assigned
        self._shown = bool(document.get("status"))
        for assignment in read.listed:
            self._add(suggestion_entry(assignment))
        return read

    def count_at_least(self, assigned: int) -> int:
        """How many were ever assigned; the Trials that are there prove so many."""
        self._assigned = max(self._assigned, assigned)
        return self._assigned

    async def write(self, experiment: Experiment, change: Change, unused: Collection[str], now: float) -> None:
        """Write the change's part of the Suggestion; raises Conflict where other assignments were recorded."""
        record = change.suggestion
        if record is None and not change.assignments:
            return
        addition = self._addition(change, unused)
        created = None if self._uid else await self._create(experiment, record)
        facts = _facts(record, now)
        if self._patched:
            await self._patch(self._operations(addition, facts))
        else:
            document = created or await self._read()
            await self._put_all(document, addition, {**_at_work(document, now), **facts})
        self._take(addition)

    async def settle(self, experiment: Experiment, record: SuggestionRecord, over: bool, now: float) -> None:
        """Bring what nobody waits for up to date: spec.requests, and that the search is over or goes on."""
        if not self._uid:
            return
        if record.requests != self._requests:
            operations = [self._same(), {"op": "add", "path": "/spec/requests", "value": record.requests}]
            await self._patch(operations, "")
            self._requests = record.requests
        texts = _over(experiment) if over else None
        if texts != self._over and self._shown:
            conditions = suggestion_conditions(record.failed, texts, now)
            await self._patch([self._same(), {"op": "add", "path": "/status/conditions", "value": conditions}])
            self._over = texts

    def _addition(self, change: Change, unused: Collection[str]) -> Addition:
        """What of the change is not recorded yet; raises Conflict where something else is recorded in its place."""
        names = [assignment.name for assignment in change.assignments]
        known = self._assigned - change.assigned_before if names else 0
        newest = [entry.name for entry in self._entries][len(self._entries) - known :] if known > 0 else []
        if known < 0 or newest != names[:known]:
            raise Conflict(f"{self._assigned} assignments are recorded, not {change.assigned_before}")
        fresh = [suggestion_entry(assignment) for assignment in change.assignments[known:]]
        needed = {*unused, *names}
        return Addition(fresh, self._surplus(fresh, needed), self._assigned + len(fresh))

    def _surplus(self, fresh: Sequence[Json], needed: Collection[str]) -> int:
        """How many of the oldest entries leave the list."""
        size = self._bytes + sum(_size(entry) for entry in fresh)
        count = 0
        for entry in self._entries:
            if size <= LISTED_BYTES or entry.name in needed:
                break
            size -= entry.size
            count += 1
        return count

    def _take(self, addition: Addition) -> None:
        """It is written."""
        for entry in addition.entries:
            self._add(entry)
        for _ in range(addition.dropped):
            self._bytes -= self._entries.popleft().size
        self._counted = self._assigned = addition.assigned

    def _add(self, entry: Mapping[str, Any]) -> None:
        self._entries.append(Entry(entry["name"], _size(entry)))
        self._bytes += self._entries[-1].size

    # Writing

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
            document = await self._api.create(SUGGESTIONS, self._key.namespace, body)
        except AlreadyExists as error:
            document = await self._there(experiment, error)
        self._uid, self._requests = document["metadata"]["uid"], requests
        return document

    async def _there(self, experiment: Experiment, error: AlreadyExists) -> Json:
        """Our own, the answer to whose creation was lost; one of an earlier experiment is about to go."""
        document = await self._read()
        if owned_by(document, experiment.metadata.uid):
            return document
        words = f"the Suggestion {self._key.name} of an earlier experiment is still there"
        raise Occupied(409, "NameTaken", words) from error

    async def _put_all(self, document: Json, addition: Addition, facts: Json) -> None:
        """The first write: the list as a whole, whatever state the object's is in, if it counts as it did."""
        counted = read_suggestion(document).assigned
        if counted != self._counted or document["metadata"]["uid"] != self._uid:
            raise Conflict(f"the Suggestion counts {counted} assignments, not {self._counted}")
        entries = [*((document.get("status") or {}).get("suggestions") or [])[addition.dropped :], *addition.entries]
        body = {
            "metadata": {"resourceVersion": document["metadata"]["resourceVersion"]},
            "status": {**facts, "suggestionCount": addition.assigned, "suggestions": entries},
        }
        await self._patch(body)
        self._shown = self._patched = True

    def _operations(self, addition: Addition, facts: Json) -> list[Json]:
        operations = [self._same(), {"op": "test", "path": "/status/suggestionCount", "value": self._counted}]
        operations += [{"op": "add", "path": "/status/suggestions/-", "value": entry} for entry in addition.entries]
        operations += [{"op": "remove", "path": "/status/suggestions/0"}] * addition.dropped
        facts = {**facts, **({"suggestionCount": addition.assigned} if addition.entries else {})}
        return operations + [{"op": "add", "path": f"/status/{name}", "value": value} for name, value in facts.items()]

    def _same(self) -> Json:
        """A late write must not reach the object of a later experiment of the same name."""
        return {"op": "test", "path": "/metadata/uid", "value": self._uid}

    async def _patch(self, body: Mapping[str, Any] | Sequence[Any], subresource: str = "status") -> None:
        try:
            await self._api.patch(SUGGESTIONS, self._key, body, subresource)
        except Absent as error:
            raise self._deleted() from error

    async def _read(self) -> Json:
        try:
            return await self._api.get(SUGGESTIONS, *self._key)
        except Absent as error:
            raise self._deleted() from error

    def _deleted(self) -> Conflict:
        return Conflict(f"the Suggestion {self._key.name} was deleted")


def _size(entry: Mapping[str, Any]) -> int:
    return len(json.dumps(entry))


def _facts(record: SuggestionRecord | None, now: float) -> Json:
    """The keys of status besides the assignments that a record sets."""
    facts: Json = {}
    if record is None:
        return facts
    if record.ended:
        facts["ended"] = True
    if record.failed:
        facts["conditions"] = suggestion_conditions(record.failed, None, now)
    if record.settings:
        facts["algorithmSettings"] = [{"name": name, "value": value} for name, value in record.settings]
    return facts


def _at_work(document: Json, now: float) -> Json:
    """The conditions of a search that goes on, unless the object has them already."""
    wanted = suggestion_conditions("", None, now)
    found = (document.get("status") or {}).get("conditions") or ()
    said = [(entry.get("type"), entry.get("status")) for entry in found]
    return {} if said == [(entry["type"], entry["status"]) for entry in wanted] else {"conditions": wanted}


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
