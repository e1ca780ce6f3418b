"""Which experiments have an engine: every one that is there, until it has ended and again when its spec changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import EXPERIMENTS
from katib_py.backends.k8s.session import Plant
from katib_py.backends.k8s.status_writer import Written, write_status
from katib_py.backends.k8s.trials import Look
from katib_py.controller.engine import Outcome
from katib_py.core.errors import Conflict, InvalidInput, KatibError, Rejected, ServiceUnavailable, StoreUnavailable
from katib_py.core.experiment import ResumePolicy
from katib_py.core.reconcile import RESUMABLE_REASONS
from katib_py.core.status import read_status, time_text, with_waiting

AGAIN: Final = (0.05, 0.05, 0.2, 1.0, 2.0, 5.0, 10.0)
LONG_SECONDS: Final = 60.0  # an engine that ran for so long had no trouble to begin with
PATIENCE: Final = 4  # so often in a row a conflict is nothing to speak of

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
        self._clearing: asyncio.Task[None] | None = None

    def begin(self, plant: Plant) -> None:
        """Drive from now on what is there, and what comes."""
        self._plant = plant
        for name, document in plant.seen.items():
            self.changed(name, None, document)
        ended = [document for _, document in plant.seen.items() if over(document) and not leaves(document)]
        self._clearing = asyncio.create_task(_clear(plant, ended))

    async def close(self) -> None:
        """Let go of every experiment; trials go on without us."""
        self._plant = None
        tasks = [driven.task for driven in self._driven.values() if driven.task is not None]
        tasks += [self._clearing] if self._clearing is not None else []
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
        version = version_of(new)
        if old is not None and version_of(old) == version and driven.task is not None and not leaves(new):
            return  # what we wrote ourselves
        driven.looked.set()
        driven.wake.set()
        if driven.task is None and version != driven.settled and not over(new):
            driven.task = asyncio.create_task(self._drive(name, driven))

    def rests(self, name: Name) -> bool:
        """Whether nothing is left to do for this experiment as it is now."""
        document, driven = self._document(name), self._driven.get(name)
        if document is None or driven is None:
            return False
        return driven.task is None and (driven.settled == version_of(document) or over(document))

    def disturb(self, name: Name) -> None:
        """Somebody else changed the experiment's Trials: what its engine holds in memory is void."""
        driven = self._driven.get(name)
        if driven is not None and driven.run is not None:
            driven.disturbed = True
            driven.run.cancel()

    async def _drive(self, name: Name, driven: Driven) -> None:
        """Until nothing is left to do for this generation of the spec."""
        failures = 0
        try:
            while (document := self._document(name)) is not None:
                driven.looked.clear()
                began = time.monotonic()
                trouble = await self._once(document, driven)
                current = self._document(name)
                if trouble is None and (current is None or version_of(current) == version_of(document)):
                    return
                failures = failures + 1 if trouble is not None and time.monotonic() - began < LONG_SECONDS else 0
                if trouble is not None:
                    await self._rest(document, driven, trouble, failures)
        finally:
            driven.task = None
            if self._document(name) is None:
                self._driven.pop(name, None)

    async def _once(self, document: Json, driven: Driven) -> Exception | None:
        """Run an engine to its end; why there must be another one, if so."""
        try:
            outcome = await self._run(document, driven)
        except Rejected as error:
            # Another engine ends what still runs.
            return await self._fail(document, error) or Conflict("its algorithm refuses it")
        except Exception as error:  # an edge: one experiment's defect must not end the others
            if not isinstance(error, KatibError):
                log.exception("experiment %s cannot be driven", _name(document))
            return error
        if outcome is Outcome.DELETED:
            current = self._document(_name(document))
            gone = current is None or version_of(current) != version_of(document)
            return None if gone else Conflict("something of it was deleted")
        driven.settled = version_of(document)
        return None

    async def _rest(self, document: Json, driven: Driven, trouble: Exception, failures: int) -> None:
        """Leave the experiment alone for a while, and say why where that is not over at once."""
        log.info("experiment %s is looked at anew: %s", _name(document), trouble)
        passing = isinstance(trouble, Conflict | StoreUnavailable)
        if not passing or failures >= PATIENCE:
            await self._explain(document, trouble)
        with suppress(TimeoutError):
            async with asyncio.timeout(AGAIN[min(failures, len(AGAIN) - 1)] if passing else AGAIN[-1]):
                await driven.looked.wait()  # a change of the spec may be the cure

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
        return None if document is None or leaves(document) else document

    async def _fail(self, document: Json, error: KatibError) -> Exception | None:
        """The algorithm's service refuses the experiment: it has failed, as in Katib. Why that could not be written."""
        now = time.time()
        status = read_status(document.get("status") or {})
        status.begin(now)
        status.finish(False, "ExperimentFailed", f"Suggestion has failed: {error}", now)
        assert status.start is not None
        written = {"startTime": time_text(status.start), "completionTime": time_text(now)}
        return await self._write(document, {**written, "conditions": [entry.dump() for entry in status.conditions]})

    async def _explain(self, document: Json, error: Exception) -> None:
        """Say in a condition why the experiment is not driven."""
        reason, message = _words(error)
        await self._write(document, with_waiting(document.get("status") or {}, reason, message, time.time()))

    async def _write(self, document: Json, status: Mapping[str, Any]) -> Exception | None:
        try:
            await write_status(self._api, EXPERIMENTS, _name(document), Written.of(document), status)
        except (ApiError, Conflict) as error:
            return error
        return None


async def _clear(plant: Plant, ended: Sequence[Json]) -> None:
    """What is left of experiments whose end was written by a controller that did not live to clear up after them."""
    for document in ended:
        try:
            await plant.finished(document)
        except (KatibError, ValidationError) as error:
            log.info("what is left of experiment %s stays: %s", _name(document), error)


def _words(error: Exception) -> tuple[str, str]:
    """Why an experiment is not driven, as its condition's reason and message."""
    if isinstance(error, InvalidInput):
        return "InvalidSpec", str(error)
    if isinstance(error, ServiceUnavailable):
        return "SuggestionServiceNotReady", str(error)
    if isinstance(error, ApiError):
        return error.reason or "ApiServerUnreachable", error.message
    if isinstance(error, KatibError):
        return type(error).__name__, str(error)
    return "InternalError", f"a defect of the controller, of which its log tells more: {error!r}"


def _name(document: Json) -> Name:
    return Name(document["metadata"]["namespace"], document["metadata"]["name"])


def version_of(document: Json) -> Version:
    """Which spec of which experiment the object is."""
    return Version(document["metadata"]["uid"], int(document["metadata"].get("generation", 1)))


def leaves(document: Json) -> bool:
    """Whether the object is being deleted."""
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


def informer(api: Api, namespace: str, supervisor: Supervisor, look: Look) -> Informer[Json]:
    """The informer of experiments that tells the supervisor; `look` is shown each as it is."""

    def seen(document: Json) -> Json:
        look(EXPERIMENTS, document)
        return document

    return Informer(api, EXPERIMENTS, seen, supervisor.changed, Selection(namespace))
