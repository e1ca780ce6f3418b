"""What Katib's own controllers leave behind in a cluster that katib-py takes over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.batches import Batches
from katib_py.backends.k8s.errors import Absent, ApiError, Changed, Refused
from katib_py.backends.k8s.kinds import Kinds
from katib_py.backends.k8s.observations import RemoteLogs
from katib_py.backends.k8s.owners import owned_by
from katib_py.backends.k8s.resources import DEPLOYMENTS, EXPERIMENTS, SERVICES, TRIALS, Resource
from katib_py.backends.k8s.trials import owned_trials
from katib_py.core.errors import StoreUnavailable
from katib_py.core.names import LABEL_EXPERIMENT, LABEL_TRIAL
from katib_py.core.read_trial import read_trial
from katib_py.observations.log import Run
from katib_py.observations.remote import Start

# Katib counts what is deleted, and clears its database, before it lets go of the object.
FINALIZERS: Final = {EXPERIMENTS: "update-prometheus-metrics", TRIALS: "clean-metrics-in-db"}
RETRY: Final = (0.2, 1.0, 5.0, 10.0, 30.0)

Work = Coroutine[Any, Any, None]

log = logging.getLogger(__name__)


class Takeover:
    """Takes over Katib's experiments, takes its finalizers from what is being deleted, and ends its services.

    Katib's rows in the log know the names of their trials alone; here they are given to the trials.
    """

    def __init__(self, api: Api, logs: RemoteLogs) -> None:
        self._api = api
        self._logs = logs
        self._adoptions: Batches[Start] = Batches(self._adopt)
        self._known: dict[str, bool] = {}  # uids of experiments, and whether Katib's service is still needed
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def look(self, resource: Resource, document: Json) -> None:
        """See to an Experiment or a Trial that Katib's finalizer keeps from being deleted."""
        metadata = document["metadata"]
        held = FINALIZERS[resource] in (metadata.get("finalizers") or ())
        if held and "deletionTimestamp" in metadata:
            self._once(metadata["uid"], self._release(resource, document))

    async def take(self, document: Json, kinds: Kinds) -> None:
        """Make an Experiment ours that Katib has had: its measurements and runs; raises StoreUnavailable, ApiError."""
        metadata = document["metadata"]
        if metadata["uid"] in self._known or not is_katibs(document, EXPERIMENTS):
            return
        trials = await self._trials(metadata)
        if trials:
            known = await self._logs.log.held(metadata["namespace"])  # from a time before this controller
            await self._adopt([_start(trial) for trial in trials if trial["metadata"]["uid"] not in known])
        live = [(trial, read_trial(trial)) for trial in trials]
        live = [(trial, record) for trial, record in live if not record.state.finished]
        for trial, _ in live:
            await self._mark_run(trial, kinds)
        # The collector of a run with rules tells Katib's service that it has ended it; unanswered it fails the run.
        self._known[metadata["uid"]] = any(record.assignment.rules and record.stop is None for _, record in live)

    def end_service(self, document: Json, name: str, finished: bool = False) -> None:
        """Remove the Deployment and Service that Katib started for an Experiment, once nothing of its needs them."""
        metadata = document["metadata"]
        if is_katibs(document, EXPERIMENTS) and (finished or not self._known.get(metadata["uid"])):
            self._once(f"{metadata['uid']} service", self._end_service((metadata["namespace"], name)))

    async def close(self) -> None:
        """Leave what is under way to the next controller."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _once(self, key: str, work: Work) -> None:
        if key in self._tasks:
            work.close()
            return
        task = asyncio.create_task(work)
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    # Taking over

    async def _trials(self, experiment: Json) -> list[Json]:
        """The Experiment's Trials that Katib's controller has made."""
        labels = f"{LABEL_EXPERIMENT}={experiment['name']}"
        trials = owned_trials(self._api, experiment["namespace"], labels, experiment["uid"])
        return [trial async for trial in trials if is_katibs(trial, TRIALS)]

    async def _adopt(self, starts: Sequence[Start]) -> None:
        await self._logs.log.adopt(starts)

    async def _mark_run(self, trial: Json, kinds: Kinds) -> None:
        """Label the run object that Katib made, so that our watches show it."""
        where, run = (trial["metadata"]["namespace"], trial["metadata"]["name"]), trial["spec"].get("runSpec") or {}
        try:
            resource = await kinds.resource(run)
            there = await self._api.get(resource, *where)
            labels = there["metadata"].get("labels") or {}
            if owned_by(there, trial["metadata"]["uid"]) and LABEL_TRIAL not in labels:
                body = {"metadata": {"uid": there["metadata"]["uid"], "labels": {LABEL_TRIAL: where[1]}}}
                await self._api.patch(resource, where, body)
        except (Absent, Refused):
            return  # the trial's own course finds the same, and says so

    # Leaving

    async def _release(self, resource: Resource, document: Json) -> None:
        where, uid = (document["metadata"]["namespace"], document["metadata"]["name"]), document["metadata"]["uid"]
        if resource is TRIALS:
            await self._give_rows(document)
        for pause in RETRY:
            try:
                metadata = (await self._api.get(resource, *where))["metadata"]
                if metadata["uid"] != uid:
                    return
                rest = [name for name in metadata.get("finalizers") or () if name != FINALIZERS[resource]]
                body = {"resourceVersion": metadata["resourceVersion"], "finalizers": rest or None}
                await self._api.patch(resource, where, {"metadata": body})
            except Absent:
                return
            except Changed:
                continue
            except ApiError as error:
                log.warning("Katib's finalizer of %s %s/%s stays: %s", resource.kind, *where, error)
                await asyncio.sleep(pause)
            else:
                return

    async def _give_rows(self, trial: Json) -> None:
        """Have the log know whose the Trial's rows are, so that they are swept with it."""
        try:
            await self._adoptions.add(_start(trial))
        except StoreUnavailable as error:
            metadata = trial["metadata"]
            log.warning(
                "the log keeps what Trial %s/%s has measured: %s", metadata["namespace"], metadata["name"], error
            )

    async def _end_service(self, where: tuple[str, str]) -> None:
        for resource in (DEPLOYMENTS, SERVICES):
            try:
                await self._api.delete(resource, where)
            except (Absent, Refused):
                continue
            except ApiError as error:
                log.warning("%s %s/%s of Katib stays: %s", resource.kind, *where, error)


def is_katibs(document: Json, resource: Resource) -> bool:
    """Whether Katib's own controller has had this Experiment or Trial in its hands."""
    return FINALIZERS[resource] in (document["metadata"].get("finalizers") or ())


def _start(document: Json) -> Start:
    """The run of Katib's Trial, as the log is told of it."""
    trial = read_trial(document)
    run = Run(document["metadata"]["namespace"], trial.name, trial.uid, str(trial.attempt))
    return Start(run, datetime.fromtimestamp(trial.started or trial.created, UTC))
