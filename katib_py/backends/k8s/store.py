"""The Store port on the Kubernetes API: an experiment is its Experiment, Suggestion and Trial objects."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import Absent, AlreadyExists, Expired, Unreachable
from katib_py.backends.k8s.event_writer import EventWriter
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.ledger import Ledger, assignments_without, owned_by
from katib_py.backends.k8s.metrics import Metrics
from katib_py.backends.k8s.resources import EXPERIMENTS, TRIALS
from katib_py.controller.ports import Change, Key, Stored, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound, RenderError
from katib_py.core.experiment import Experiment
from katib_py.core.load import load_experiment
from katib_py.core.names import LABEL_EXPERIMENT
from katib_py.core.objects import TrialObjects, attempts, trial_status
from katib_py.core.read_suggestion import SuggestionRead
from katib_py.core.read_trial import UNNUMBERED, read_trial
from katib_py.core.record import pack, unpack
from katib_py.core.repair import repaired
from katib_py.core.status import read_status
from katib_py.core.template import Template
from katib_py.core.trial import TrialRecord
from katib_py.core.validate import Checks


@dataclass(frozen=True, slots=True)
class Manual:
    """How an experiment is read, how its Trials are written, and where they are counted."""

    checks: Checks
    template: Template
    metrics: Metrics


@dataclass(slots=True)
class Kept:
    """What the store remembers of the experiment that it writes."""

    experiment: Experiment
    objects: TrialObjects
    suggestion: SuggestionRecord = field(default_factory=SuggestionRecord)
    unused: set[str] = field(default_factory=set)
    finished: list[str] = field(default_factory=list)
    status: Json = field(default_factory=dict)


class KubeStore:
    """One experiment in the Kubernetes API, for the one engine that drives it.

    What a turn writes is several requests: assignments first, then Trials, then the Experiment's status, so that being
    killed between any two of them leaves something that the next engine goes on from.
    """

    def __init__(self, api: Api, seen: Informer[Json], key: Key, manual: Manual, events: EventWriter) -> None:
        self._api = api
        self._seen = seen
        self._manual = manual
        self._events = events
        self._ledger = Ledger(api, key)
        self._kept: Kept | None = None

    async def load(self, key: Key) -> Stored:
        """The experiment with what is unfinished; raises NotFound, InvalidInput, StoreUnavailable."""
        document = await self._document(key)
        experiment = self._read(document)
        read, trials = await self._past(key, experiment)
        live = [trial for trial in trials if not trial.state.finished]
        finished = sorted((t for t in trials if t.state.finished), key=lambda t: (t.completed or 0.0, t.name))
        unused = assignments_without(read, {trial.name for trial in trials})
        record = SuggestionRecord(read.requests, read.assigned, read.ended, read.failed, read.settings)
        self._kept = Kept(
            experiment,
            TrialObjects(experiment),
            record,
            {item.name for item in unused},
            [pack(trial) for trial in finished],
            dict(experiment.status),
        )
        generation = document["metadata"]["generation"]
        return Stored(experiment, generation, record, unused, tuple(sorted(live, key=lambda t: t.assignment.index)))

    async def finished(self, key: Key, after: int, limit: int) -> Sequence[TrialRecord]:
        """Up to `limit` finished trials in order of finishing, from number `after` (from 0) on."""
        return [unpack(text) for text in self._loaded.finished[after : after + limit]]

    async def commit(self, key: Key, change: Change) -> Mapping[str, str]:
        """Write the change; raises Conflict where the objects have moved on, NotFound, StoreUnavailable."""
        kept, now = self._loaded, time.time()
        await self._ledger.write(kept.experiment, change, kept.unused, now)
        kept.unused.update(item.name for item in change.assignments)
        kept.suggestion = change.suggestion or kept.suggestion
        uids = await self._write_trials(key, change.trials.values())
        if change.status is not None:
            await self._write_status(key, kept, change.status, now)
        known = {trial.name: trial.uid for trial in change.trials.values()}
        self._events.tell(key, kept.experiment.metadata.uid, change.events, {**known, **uids})
        return uids

    async def refresh(self, key: Key, generation: int) -> Stored | None:
        """The experiment if its spec was changed since `generation`; raises NotFound once it was deleted."""
        document = self._seen.get(Name(*key))
        if document is None or document["metadata"].get("deletionTimestamp"):
            raise NotFound(f"the experiment {key.name} was deleted")
        metadata, kept = document["metadata"], self._loaded
        if metadata["uid"] != kept.experiment.metadata.uid:
            raise NotFound(f"the experiment {key.name} was deleted, and another one made in its place")
        if metadata["generation"] <= generation:
            return None
        kept.experiment = self._read(document)
        kept.objects = TrialObjects(kept.experiment)
        return Stored(kept.experiment, metadata["generation"], kept.suggestion, (), ())

    @property
    def _loaded(self) -> Kept:
        if self._kept is None:
            raise Conflict("nothing was loaded yet")
        return self._kept

    async def _document(self, key: Key) -> Json:
        try:
            document = await self._api.get(EXPERIMENTS, *key)
        except Absent as error:
            raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}") from error
        if document["metadata"].get("deletionTimestamp"):
            raise NotFound(f"the experiment {key.name} is being deleted")
        return document

    def _read(self, document: Json) -> Experiment:
        return load_experiment(repaired(document), self._manual.checks).experiment

    async def _past(self, key: Key, experiment: Experiment) -> tuple[SuggestionRead, list[TrialRecord]]:
        """The Suggestion and the Trials. The status is the first that an engine writes: without one there are none."""
        if not experiment.status:
            return SuggestionRead(), []
        read = await self._ledger.load(experiment)
        return read, _numbered(await self._trials(key, experiment.metadata.uid), read)

    async def _trials(self, key: Key, uid: str) -> list[TrialRecord]:
        selection = Selection(key.namespace, f"{LABEL_EXPERIMENT}={key.name}")
        while True:
            try:
                return [
                    read_trial(item)
                    async for page in self._api.pages(TRIALS, selection)
                    for item in page.items
                    if owned_by(item, uid) and not item["metadata"].get("deletionTimestamp")
                ]
            except Expired:
                continue

    # Writing

    async def _write_trials(self, key: Key, trials: Iterable[TrialRecord]) -> Mapping[str, str]:
        trials = list(trials)
        uids = await _together([self._write_trial(key, trial) for trial in trials])
        for trial in trials:
            if trial.state.finished:
                self._loaded.finished.append(pack(trial))
                self._manual.metrics.finished(key.namespace, [trial])
        return {trial.name: uid for trial, uid in zip(trials, uids, strict=True) if uid}

    async def _write_trial(self, key: Key, trial: TrialRecord) -> str:
        """Create the Trial, or write its status; the uid of a new one."""
        if trial.uid:
            await self._write_trial_status(key, trial)
            return ""
        uid = await self._create(key, trial)
        self._loaded.unused.discard(trial.name)
        self._manual.metrics.trial(key.namespace, "created")
        return uid

    async def _create(self, key: Key, trial: TrialRecord) -> str:
        document = self._loaded.objects.of(trial, self._run_spec(key, trial))
        try:
            created = await self._api.create(TRIALS, key.namespace, document)
        except AlreadyExists as error:
            created = await self._same(key, document, error)
        return str(created["metadata"]["uid"])

    async def _same(self, key: Key, document: Json, error: AlreadyExists) -> Json:
        """The Trial that is there already, if it is the one that we were to create."""
        name = document["metadata"]["name"]
        there = await self._api.get(TRIALS, key.namespace, name)
        if not owned_by(there, self._loaded.experiment.metadata.uid) or there["metadata"].get("deletionTimestamp"):
            raise Unreachable(409, "AlreadyExists", f"a Trial {name} of an earlier time is still there") from error
        if there["spec"].get("parameterAssignments") != document["spec"]["parameterAssignments"]:
            raise Conflict(f"the Trial {name} is there already with other parameters") from error
        return there

    def _run_spec(self, key: Key, trial: TrialRecord) -> Mapping[str, Any] | None:
        try:
            return self._manual.template.render(trial.name, key.namespace, trial.assignment.parameters)
        except RenderError:
            return None  # the engine finds the same, and fails the trial with the reason

    async def _write_trial_status(self, key: Key, trial: TrialRecord) -> None:
        # A merge patch takes away what is null.
        body = {"metadata": {"uid": trial.uid}, "status": {**trial_status(trial), **attempts(trial)}}
        try:
            await self._api.patch(TRIALS, (key.namespace, trial.name), body, "status")
        except Absent as error:
            raise Conflict(f"the Trial {trial.name} was deleted") from error

    async def _write_status(self, key: Key, kept: Kept, status: Json, now: float) -> None:
        gone = {name: None for name in kept.status if name not in status}
        changed = {name: value for name, value in status.items() if kept.status.get(name) != value}
        over = any(entry["type"] in {"Succeeded", "Failed"} for entry in status.get("conditions", ()))
        if changed or gone:
            body = {"metadata": {"uid": kept.experiment.metadata.uid}, "status": {**changed, **gone}}
            try:
                await self._api.patch(EXPERIMENTS, key, body, "status")
            except Absent as error:
                raise NotFound(f"the experiment {key.name} was deleted") from error
            self._count(key, kept.status, status)
        kept.status = status
        await self._ledger.settle(kept.experiment, kept.suggestion, over, now)

    def _count(self, key: Key, old: Json, new: Json) -> None:
        """Count what the status says for the first time."""
        was, now = (read_status(status) for status in (old, new))
        if was.start is None:
            self._manual.metrics.experiment(key.namespace, "created")
        if was.verdict is None and now.verdict is not None:
            self._manual.metrics.experiment(key.namespace, "succeeded" if now.verdict.succeeded else "failed")


async def _together(works: Sequence[Any]) -> list[str]:
    """Everything done at once; where some fail, the others are waited for before the first error is raised."""
    results = await asyncio.gather(*works, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _numbered(trials: Sequence[TrialRecord], read: SuggestionRead) -> list[TrialRecord]:
    """The trials, those of Katib's numbered by their place in the Suggestion, else in order of creation."""
    if all(trial.assignment.index != UNNUMBERED for trial in trials):
        return list(trials)
    places = {item.name: item.index for item in read.listed}
    numbered = []
    for number, trial in enumerate(sorted(trials, key=lambda trial: (trial.created, trial.name))):
        own = trial.assignment.index
        index = own if own != UNNUMBERED else places.get(trial.name, number)
        numbered.append(_with_index(trial, index))
    return numbered


def _with_index(trial: TrialRecord, index: int) -> TrialRecord:
    return replace(trial, assignment=replace(trial.assignment, index=index))
