"""The Trial objects of one experiment as its engine reads and writes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.errors import Absent, AlreadyExists, Changed, Expired, Occupied
from katib_py.backends.k8s.metrics import Metrics
from katib_py.backends.k8s.owners import owned_by
from katib_py.backends.k8s.resources import TRIALS
from katib_py.backends.k8s.status_writer import Written, write_status
from katib_py.backends.k8s.trials import owned_trials
from katib_py.controller.ports import Key
from katib_py.core.errors import Conflict, RenderError
from katib_py.core.experiment import Experiment
from katib_py.core.names import LABEL_EXPERIMENT
from katib_py.core.objects import TrialObjects, attempts, trial_status
from katib_py.core.read_trial import read_trial
from katib_py.core.record import pack, unpack
from katib_py.core.template import Template
from katib_py.core.trial import TrialRecord
from katib_py.core.validate import Checks

# Kubeflow's OptimizerClient looks up the TrainJob of every Trial that it finds, and gives up where there is none.
LISTED_WITH_RUN: Final = frozenset({"TrainJob"})


@dataclass(frozen=True, slots=True)
class Manual:
    """How one version of an experiment is read, how its Trials are written, and where they are counted."""

    uid: str
    generation: int
    checks: Checks
    template: Template
    metrics: Metrics


class Listed(NamedTuple):
    """The Trials that are there, and the names of those that are about to go."""

    trials: list[TrialRecord]
    leaving: set[str]


class TrialWriter:
    """Writes Trials. A write that failed half way may be tried again: what is written already is passed over."""

    def __init__(self, api: Api, key: Key, manual: Manual) -> None:
        self._api = api
        self._key = key
        self._manual = manual
        self._objects: TrialObjects | None = None
        self._owner = ""
        self._written: dict[str, Written] = {}
        self._unlisted: set[str] = set()  # those that are not found by their experiment's name yet
        self._finished: dict[str, str] = {}  # packed, in order of finishing

    def describe(self, experiment: Experiment) -> None:
        """Write Trials as the experiment says now."""
        self._owner, self._objects = experiment.metadata.uid, TrialObjects(experiment)

    async def load(self) -> Listed:
        """Read all of the experiment's Trials; those of an earlier one of its name are none."""
        while True:
            self._written.clear()
            self._unlisted.clear()
            try:
                return await self._list()
            except Expired:
                continue

    async def _list(self) -> Listed:
        listed = Listed([], set())
        if self._manual.template.kind in LISTED_WITH_RUN:
            async for item in self._find(f"!{LABEL_EXPERIMENT}"):
                self._take(item, listed)
                self._unlisted.add(item["metadata"]["name"])
        async for item in self._find(f"{LABEL_EXPERIMENT}={self._key.name}"):
            if item["metadata"]["name"] not in self._unlisted:  # as it was a moment ago
                self._take(item, listed)
        return listed

    def _find(self, labels: str) -> AsyncIterator[Json]:
        return owned_trials(self._api, self._key.namespace, labels, self._owner)

    def _take(self, item: Json, listed: Listed) -> None:
        trial = read_trial(item)
        if item["metadata"].get("deletionTimestamp"):
            listed.leaving.add(trial.name)
            return
        listed.trials.append(trial)
        if not trial.state.finished:
            self._written[trial.name] = Written.of(item)

    def remember(self, finished: Iterable[TrialRecord]) -> None:
        """These have finished, in this order."""
        self._finished = {trial.name: pack(trial) for trial in finished}

    def finished(self, after: int, limit: int) -> Sequence[TrialRecord]:
        """Up to `limit` finished trials in order of finishing, from number `after` (from 0) on."""
        return [unpack(text) for text in islice(self._finished.values(), after, after + limit)]

    async def write(self, trials: Iterable[TrialRecord]) -> Mapping[str, str]:
        """Write all; the uids of those that had none. What is possible is done before the first error is raised."""
        trials = [trial for trial in trials if trial.name not in self._finished]
        results = await asyncio.gather(*(self._write(trial) for trial in trials), return_exceptions=True)
        uids = {}
        for trial, result in zip(trials, results, strict=True):
            if isinstance(result, Written):
                if not trial.uid:
                    uids[trial.name] = result.uid
                self._note(replace(trial, uid=result.uid))
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return uids

    def _note(self, trial: TrialRecord) -> None:
        if trial.state.finished:
            self._finished[trial.name] = pack(trial)
            del self._written[trial.name]
            self._manual.metrics.finished(self._key.namespace, [trial])

    async def _write(self, trial: TrialRecord) -> Written:
        """Create the Trial where it is not there yet, and give it its status."""
        known = self._written.get(trial.name)
        if known is None:
            known = self._written[trial.name] = await self._create(trial)
        if trial.name in self._unlisted and not _pristine(trial):
            known = self._written[trial.name] = await self._list_it(trial, known)
        if known.status or not _pristine(trial):
            known = self._written[trial.name] = await self._write_status(trial, known)
        return known

    async def _create(self, trial: TrialRecord) -> Written:
        assert self._objects is not None
        if trial.uid:
            raise Conflict(f"the Trial {trial.name} is not known here")
        document = self._objects.of(trial, self._run_spec(trial))
        if self._manual.template.kind in LISTED_WITH_RUN:
            self._unlisted.add(trial.name)
            del document["metadata"]["labels"][LABEL_EXPERIMENT]
        try:
            created = await self._api.create(TRIALS, self._key.namespace, document)
        except AlreadyExists as error:
            created = await self._same(document, error)
        else:
            self._manual.metrics.trial(self._key.namespace, "created")
        return Written.of(created)

    async def _same(self, document: Json, error: AlreadyExists) -> Json:
        """The Trial that is there already, if it is the one that we were to create."""
        name = document["metadata"]["name"]
        try:
            there = await self._api.get(TRIALS, self._key.namespace, name)
        except Absent as gone:
            raise Occupied(409, "NameTaken", f"the Trial {name} has just gone") from gone
        if not owned_by(there, self._owner) or there["metadata"].get("deletionTimestamp"):
            raise Occupied(409, "NameTaken", f"a Trial {name} of an earlier time is still there") from error
        if there["spec"].get("parameterAssignments") != document["spec"]["parameterAssignments"]:
            raise Conflict(f"the Trial {name} is there already with other parameters") from error
        if not _pristine(read_trial(there)):
            raise Conflict(f"the Trial {name} has run already") from error
        return there

    async def _list_it(self, trial: TrialRecord, known: Written) -> Written:
        """Have the Trial found by its experiment's name, now that something is to be told of it."""
        body = {"metadata": {"uid": known.uid, "labels": {LABEL_EXPERIMENT: self._key.name}}}
        try:
            found = Written.of(await self._api.patch(TRIALS, (self._key.namespace, trial.name), body))
        except (Absent, Changed) as error:
            raise Conflict(f"the Trial {trial.name} was deleted") from error
        if found.status != known.status:
            raise Conflict(f"the Trial {trial.name} was written by somebody else")
        self._unlisted.discard(trial.name)
        return found

    def _run_spec(self, trial: TrialRecord) -> Mapping[str, Any] | None:
        try:
            return self._manual.template.render(trial.name, self._key.namespace, trial.assignment.parameters)
        except RenderError:
            return None  # the engine finds the same, and fails the trial with the reason

    async def _write_status(self, trial: TrialRecord, known: Written) -> Written:
        status = {"observation": None, **trial_status(trial), **attempts(trial)}
        try:
            return await write_status(self._api, TRIALS, (self._key.namespace, trial.name), known, status)
        except Absent as error:
            raise Conflict(f"the Trial {trial.name} was deleted") from error


def _pristine(trial: TrialRecord) -> bool:
    """Whether nothing has happened to the trial since it was made."""
    return trial == TrialRecord(trial.assignment, trial.created, uid=trial.uid)
