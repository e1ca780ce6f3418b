"""Which experiments have an engine: every one that is there, until it has ended and again when its spec changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import EXPERIMENTS
from katib_py.backends.k8s.session import Plant
from katib_py.controller.engine import Outcome
from katib_py.core.errors import Conflict, InvalidInput, KatibError, Rejected, StoreUnavailable
from katib_py.core.experiment import ResumePolicy
from katib_py.core.reconcile import RESUMABLE_REASONS
from katib_py.core.status import ExperimentStatus, dump_waiting, read_status, time_text

AGAIN: Final = (0.05, 0.2, 1.0, 2.0, 5.0, 10.0)
INVALID_SECONDS: Final = 10.0  # how often an experiment is looked at again that cannot be driven as it is

log = logging.getLogger(__name__)


class Version(NamedTuple):
    """Which spec of which experiment of a name."""

    uid: str
    generation: int


@dataclass(slots=True)
class Driven:
    """An experiment and what drives it. `settled` is the version after which nothing was left to do."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    run: asyncio.Task[Outcome] | None = None
    disturbed: bool = False
    settled: Version | None = None


class Supervisor:
    """Drives every experiment that the informer shows; `changed` is its callback, `gone` is told of deleted ones."""

    def __init__(self, api: Api, gone: Callable[[Name], None]) -> None:
        self._api = api
        self._gone = gone
        self._plant: Plant | None = None
        self._driven: dict[Name, Driven] = {}

    def begin(self, plant: Plant) -> None:
        """Drive from now on what is there, and what comes."""
        self._plant = plant
        for name, document in plant.seen.items():
            self.changed(name, None, document)

    async def close(self) -> None:
        """Let go of every experiment; trials go on without us."""
        self._plant = None
        tasks = [driven.task for driven in self._driven.values() if driven.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._driven.clear()

    def changed(self, name: Name, old: Json | None, new: Json | None) -> None:
        """An experiment is new, different or gone."""
        if self._plant is None:
            return
        if new is None:
            self._gone(name)
            if (driven := self._driven.get(name)) is not None:
                driven.looked.set()
                driven.wake.set()
            return
        driven = self._driven.setdefault(name, Driven())
        version = _version(new)
        if old is not None and _version(old) == version and driven.task is not None and not _leaves(new):
            return  # what we wrote ourselves
        driven.looked.set()
        driven.wake.set()
        if driven.task is None and version != driven.settled and not over(new):
            driven.task = asyncio.create_task(self._drive(name, driven))

    def disturb(self, name: Name) -> None:
        """Somebody else changed the experiment's Trials: what its engine holds in memory is void."""
        driven = self._driven.get(name)
        if driven is not None and driven.run is not None:
            driven.disturbed = True
            driven.run.cancel()

    async def _drive(self, name: Name, driven: Driven) -> None:
        """Until nothing is left to do for this generation of the spec."""
        try:
            failures = 0
            while (document := self._document(name)) is not None:
                driven.looked.clear()
                version = _version(document)
                outcome = Outcome.FINISHED
                try:
                    outcome = await self._run(document, driven)
                except (Conflict, StoreUnavailable) as error:
                    log.info("experiment %s/%s is looked at anew: %s", *name, error)
                    await asyncio.sleep(AGAIN[min(failures, len(AGAIN) - 1)])
                    failures += 1
                    continue
                except Rejected as error:
                    await self._fail(name, error)
                except InvalidInput as error:
                    await self._explain(name, document, error)
                    with suppress(TimeoutError):
                        await asyncio.wait_for(driven.looked.wait(), INVALID_SECONDS)
                    continue
                failures = 0
                if outcome is not Outcome.DELETED:
                    driven.settled = version
                current = self._document(name)
                if current is None or _version(current) == version:
                    return
        except asyncio.CancelledError:
            raise
        except Exception:  # an edge: one experiment's defect must not end the others
            log.exception("experiment %s/%s cannot be driven", *name)
        finally:
            driven.task = None
            if self._document(name) is None:
                self._driven.pop(name, None)

    async def _run(self, document: Json, driven: Driven) -> Outcome:
        assert self._plant is not None
        engine = await self._plant.engine(document, driven.wake)
        driven.run = asyncio.create_task(engine.run())
        try:
            outcome = await driven.run
            if outcome is Outcome.FINISHED:
                await self._plant.finished(document)
            return outcome
        except asyncio.CancelledError:
            driven.run.cancel()
            await asyncio.gather(driven.run, return_exceptions=True)
            if not driven.disturbed:
                raise
            raise Conflict("its Trials were changed by somebody else") from None
        finally:
            driven.run, driven.disturbed = None, False

    def _document(self, name: Name) -> Json | None:
        document = self._plant.seen.get(name) if self._plant is not None else None
        return None if document is None or _leaves(document) else document

    async def _fail(self, name: Name, error: KatibError) -> None:
        """The algorithm's service refuses the experiment: it has failed, as in Katib."""
        now = time.time()
        status = ExperimentStatus()
        status.begin(now)
        status.finish(False, "ExperimentFailed", f"Suggestion has failed: {error}", now)
        body = {"conditions": [entry.dump() for entry in status.conditions], "startTime": time_text(now)}
        with suppress(ApiError):
            await self._api.patch(EXPERIMENTS, name, {"status": {**body, "completionTime": time_text(now)}}, "status")

    async def _explain(self, name: Name, document: Json, error: KatibError) -> None:
        """Say in a condition why the experiment is not driven; the last one stays what it was."""
        status: dict[str, Any] = dict(document.get("status") or {})
        conditions = [entry for entry in status.get("conditions") or () if entry.get("type") != "Waiting"]
        old = [entry for entry in status.get("conditions") or () if entry.get("type") == "Waiting"]
        if old and old[0].get("message") == str(error):
            return
        if not conditions:
            conditions = [_created(time.time())]
        conditions.insert(len(conditions) - 1, dump_waiting("InvalidSpec", str(error), time.time()))
        with suppress(ApiError):
            await self._api.patch(EXPERIMENTS, name, {"status": {"conditions": conditions}}, "status")


def _version(document: Json) -> Version:
    return Version(document["metadata"]["uid"], int(document["metadata"].get("generation", 1)))


def _leaves(document: Json) -> bool:
    return "deletionTimestamp" in document["metadata"]


def over(document: Json) -> bool:
    """Whether an experiment has ended, has no trial left, and can never go on; an engine would find the same."""
    status = document.get("status") or {}
    if status.get("trialsRunning") or status.get("trialsPending"):
        return False
    verdict = read_status(status).verdict
    policy = (document.get("spec") or {}).get("resumePolicy")
    resumable = policy in {ResumePolicy.LONG_RUNNING, ResumePolicy.FROM_VOLUME}
    return verdict is not None and not (resumable and verdict.reason in RESUMABLE_REASONS)


def _created(now: float) -> Json:
    status = ExperimentStatus()
    status.begin(now)
    return status.conditions[0].dump()


def informer(api: Api, namespace: str, supervisor: Supervisor) -> Informer[Json]:
    """The informer of experiments that tells the supervisor."""
    return Informer(api, EXPERIMENTS, lambda document: document, supervisor.changed, Selection(namespace))
