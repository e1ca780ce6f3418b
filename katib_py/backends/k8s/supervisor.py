"""Which experiments have an engine: every one that is there, until it has ended and again when its spec changes."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.errors import ApiError
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.resources import EXPERIMENTS
from katib_py.backends.k8s.session import Plant
from katib_py.controller.engine import Engine, Outcome
from katib_py.core.errors import Conflict, InvalidInput, KatibError, Rejected, StoreUnavailable
from katib_py.core.status import ExperimentStatus, dump_waiting, time_text

AGAIN: Final = (0.05, 0.2, 1.0, 2.0, 5.0, 10.0)
INVALID_SECONDS: Final = 10.0  # how often an experiment is looked at again that cannot be driven as it is

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Driven:
    """An experiment and what drives it. `settled` is the generation after which nothing was left to do."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    engine: Engine | None = None
    settled: int = 0


class Supervisor:
    """Drives every experiment that the informer shows; `changed` is the informer's callback."""

    def __init__(self, api: Api) -> None:
        self._api = api
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
            if (driven := self._driven.get(name)) is not None:
                driven.looked.set()
                driven.wake.set()
            return
        driven = self._driven.setdefault(name, Driven())
        generation = int(new["metadata"].get("generation", 1))
        if old is not None and old["metadata"].get("generation") == generation and driven.task is not None:
            return  # what we wrote ourselves
        driven.looked.set()
        driven.wake.set()
        if driven.task is None and generation > driven.settled:
            driven.task = asyncio.create_task(self._drive(name, driven))

    async def _drive(self, name: Name, driven: Driven) -> None:
        """Until nothing is left to do for this generation of the spec."""
        try:
            failures = 0
            while (document := self._document(name)) is not None:
                driven.looked.clear()
                generation = int(document["metadata"].get("generation", 1))
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
                    driven.settled = generation
                if self._generation(name) <= generation:
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
        driven.engine = await self._plant.engine(document, driven.wake)
        return await driven.engine.run()

    def _document(self, name: Name) -> Json | None:
        document = self._plant.seen.get(name) if self._plant is not None else None
        return None if document is None or document["metadata"].get("deletionTimestamp") else document

    def _generation(self, name: Name) -> int:
        document = self._document(name)
        return 0 if document is None else int(document["metadata"].get("generation", 1))

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


def _created(now: float) -> Json:
    status = ExperimentStatus()
    status.begin(now)
    return status.conditions[0].dump()


def informer(api: Api, namespace: str, supervisor: Supervisor) -> Informer[Json]:
    """The informer of experiments that tells the supervisor."""
    return Informer(api, EXPERIMENTS, lambda document: document, supervisor.changed, Selection(namespace))
