"""The Store port on the Kubernetes API: an experiment is its Experiment, Suggestion and Trial objects."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, ApiError, Expired, Occupied, Refused
from katib_py.backends.k8s.event_writer import EventWriter
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.ledger import Ledger, assignments_without
from katib_py.backends.k8s.resources import EXPERIMENTS
from katib_py.backends.k8s.status_writer import Written, write_status
from katib_py.backends.k8s.trial_writer import Manual, TrialWriter
from katib_py.backends.k8s.trials import owned_trials
from katib_py.controller.ports import Change, Key, Prior, Stored, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound, StoreUnavailable
from katib_py.core.experiment import Experiment
from katib_py.core.load import load_experiment
from katib_py.core.names import LABEL_EXPERIMENT
from katib_py.core.read_suggestion import SuggestionRead
from katib_py.core.read_trial import UNNUMBERED, read_trial
from katib_py.core.repair import repaired
from katib_py.core.status import first_status, read_status, with_waiting
from katib_py.core.trial import TrialRecord


@dataclass(slots=True)
class Kept:
    """What the store remembers of the experiment that it writes."""

    experiment: Experiment
    written: Written
    suggestion: SuggestionRecord
    unused: set[str]


class KubeStore:
    """One experiment in the Kubernetes API, for the one engine that drives it.

    What a turn writes is several requests: assignments first, then Trials, then the Experiment's status, so that being
    killed between any two of them leaves something that the next engine goes on from. A commit that raised
    StoreUnavailable may be tried again, with more in it: what it did is not done twice.
    """

    def __init__(self, api: Api, seen: Informer[Json], key: Key, manual: Manual, events: EventWriter) -> None:
        self._api = api
        self._seen = seen
        self._manual = manual
        self._events = events
        self._begin(key)

    def _begin(self, key: Key) -> None:
        self._ledger = Ledger(self._api, key)
        self._trials = TrialWriter(self._api, key, self._manual)
        self._kept: Kept | None = None

    async def load(self, key: Key) -> Stored:
        """The experiment with what is unfinished; raises NotFound, Conflict, InvalidInput, StoreUnavailable."""
        self._begin(key)
        document = await self._document(key)
        experiment = self._read(document)
        self._trials.describe(experiment)
        read, trials, leaving = await self._past(experiment)
        live = [trial for trial in trials if not trial.state.finished]
        self._trials.remember(
            sorted((t for t in trials if t.state.finished), key=lambda t: (t.completed or 0.0, t.name))
        )
        # Of one that is being deleted the name is taken: it is made again once it has gone.
        unused = assignments_without(read, {trial.name for trial in trials} | leaving)
        assigned = self._ledger.count_at_least(max(0, len(trials), *(t.assignment.index + 1 for t in trials)))
        # What was assigned was asked for, though a controller may have died before it said so.
        requests = max(read.requests, assigned)
        record = SuggestionRecord(requests, assigned, read.ended, read.failed, read.settings)
        self._kept = Kept(experiment, Written.of(document), record, {item.name for item in unused})
        generation = document["metadata"]["generation"]
        return Stored(experiment, generation, record, unused, tuple(sorted(live, key=lambda t: t.assignment.index)))

    async def finished(self, key: Key, after: int, limit: int) -> Sequence[TrialRecord]:
        """Up to `limit` finished trials in order of finishing, from number `after` (from 0) on."""
        await self._loaded(key)
        return self._trials.finished(after, limit)

    async def commit(self, key: Key, change: Change) -> Mapping[str, str]:
        """Write the change; raises Conflict where the objects have moved on, NotFound, StoreUnavailable."""
        kept = await self._loaded(key)
        try:
            uids = await self._write(key, kept, change)
        except (Refused, Occupied) as error:
            await self._explain(key, kept, error)
            raise StoreUnavailable(f"what is to be written is not taken: {error}") from error
        known = {trial.name: trial.uid for trial in change.trials.values()}
        self._events.tell(key, kept.experiment.metadata.uid, change.events, {**known, **uids})
        return uids

    async def refresh(self, key: Key, generation: int) -> Stored | None:
        """The experiment if its spec was changed since `generation`; raises NotFound once it was deleted."""
        document = self._seen.get(Name(*key))
        if document is None or document["metadata"].get("deletionTimestamp"):
            raise NotFound(f"the experiment {key.name} was deleted")
        metadata, kept = document["metadata"], await self._loaded(key)
        if metadata["uid"] != kept.experiment.metadata.uid:
            raise NotFound(f"the experiment {key.name} was deleted, and another one made in its place")
        if metadata["generation"] <= generation:
            return None
        kept.experiment = self._read(document)
        self._trials.describe(kept.experiment)
        return Stored(kept.experiment, metadata["generation"], kept.suggestion, (), ())

    async def prior(self, key: Key, limit: int) -> Prior:
        """Another Experiment of the cluster, and its newest finished Trials; raises NotFound, StoreUnavailable."""
        try:
            experiment = Experiment.model_validate(await self._api.get(EXPERIMENTS, *key))
        except Absent as error:
            raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}") from error
        labels, uid = f"{LABEL_EXPERIMENT}={key.name}", experiment.metadata.uid
        try:
            found = [read_trial(item) async for item in owned_trials(self._api, key.namespace, labels, uid)]
        except Expired as error:
            raise StoreUnavailable(f"the Trials of {key.name} could not be listed: {error}") from error
        finished = [trial for trial in found if trial.state.finished]
        finished.sort(key=lambda trial: (trial.completed or 0.0, trial.name))
        return Prior(experiment, finished[-limit:])

    async def _loaded(self, key: Key) -> Kept:
        if self._kept is None:
            await self.load(key)
        assert self._kept is not None
        return self._kept

    async def _document(self, key: Key) -> Json:
        try:
            document = await self._api.get(EXPERIMENTS, *key)
        except Absent as error:
            raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}") from error
        metadata = document["metadata"]
        if metadata.get("deletionTimestamp"):
            raise NotFound(f"the experiment {key.name} is being deleted")
        if (metadata["uid"], metadata["generation"]) != (self._manual.uid, self._manual.generation):
            raise Conflict(f"the experiment {key.name} has just been changed")
        return document

    def _read(self, document: Json) -> Experiment:
        return load_experiment(repaired(document), self._manual.checks).experiment

    async def _past(self, experiment: Experiment) -> tuple[SuggestionRead, list[TrialRecord], set[str]]:
        """The Suggestion, the Trials, and those that are about to go.

        The status is the first that is ever written: without one there are none.
        """
        if not experiment.status:
            return SuggestionRead(), [], set()
        read = await self._ledger.load(experiment)
        trials, leaving = await self._trials.load()
        return read, _numbered(trials, read), leaving

    # Writing

    async def _write(self, key: Key, kept: Kept, change: Change) -> Mapping[str, str]:
        now = time.time()
        if not kept.written.status:
            await self._write_status(key, kept, change.status or first_status(now))
        await self._ledger.write(kept.experiment, change, kept.unused, now)
        kept.unused.update(item.name for item in change.assignments)
        kept.suggestion = change.suggestion or kept.suggestion
        uids = await self._trials.write(change.trials.values())
        kept.unused.difference_update(change.trials)
        if change.status is not None:
            over = any(entry["type"] in {"Succeeded", "Failed"} for entry in change.status.get("conditions", ()))
            # Nobody looks at a Suggestion again whose Experiment has ended.
            await self._ledger.settle(kept.experiment, kept.suggestion, over, now)
            await self._write_status(key, kept, change.status)
        return uids

    async def _write_status(self, key: Key, kept: Kept, status: Json) -> None:
        before = kept.written.status
        wanted = {**dict.fromkeys(before), **status}
        try:
            kept.written = await write_status(self._api, EXPERIMENTS, key, kept.written, wanted)
        except Absent as error:
            raise NotFound(f"the experiment {key.name} was deleted") from error
        self._count(key, before, status)

    def _count(self, key: Key, old: Mapping[str, Any], new: Json) -> None:
        """Count what the status says for the first time."""
        was, now = (read_status(status) for status in (old, new))
        if was.start is None:
            self._manual.metrics.experiment(key.namespace, "created")
        if was.verdict is None and now.verdict is not None:
            self._manual.metrics.experiment(key.namespace, "succeeded" if now.verdict.succeeded else "failed")

    async def _explain(self, key: Key, kept: Kept, error: ApiError) -> None:
        """Say in the Experiment what it waits for; the next status that is written takes it back."""
        status = with_waiting(kept.written.status, error.reason or "Refused", error.message, time.time())
        with suppress(ApiError, Conflict):
            kept.written = await write_status(self._api, EXPERIMENTS, key, kept.written, status)


def _numbered(trials: Sequence[TrialRecord], read: SuggestionRead) -> list[TrialRecord]:
    """The trials, those of Katib's numbered by their place in the Suggestion, else in order of creation.

    Katib's do not say either which labels of theirs the search gave them.
    """
    if all(trial.assignment.index != UNNUMBERED for trial in trials):
        return list(trials)
    places = {item.name: item for item in read.listed}
    numbered = []
    for number, trial in enumerate(sorted(trials, key=lambda trial: (trial.created, trial.name))):
        own = trial.assignment
        if own.index == UNNUMBERED:
            listed = places.get(trial.name)
            index, labels = (listed.index, listed.labels) if listed is not None else (number, ())
            own = replace(own, index=index, labels=own.labels or labels)
        numbered.append(replace(trial, assignment=own))
    return numbered
