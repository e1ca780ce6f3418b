"""The course of one attempt: its object created or taken over, watched, stopped, and its end told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from katib_py.backends.k8s.api import Json, Selection
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.errors import Absent, AlreadyExists, ApiError, Refused
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.ledger import owned_by
from katib_py.backends.k8s.output import RunOutput
from katib_py.backends.k8s.pods import Pod, Trouble, newest
from katib_py.backends.k8s.resources import EVENTS, Resource
from katib_py.backends.k8s.site import Site, suspended, switch
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core.conditions import Match
from katib_py.core.errors import Conflict, StoreUnavailable
from katib_py.core.names import ANNOTATION_SUSPENDED
from katib_py.core.objective import Measurement
from katib_py.core.trial import TrialState

LOOK_SECONDS: Final = 5.0  # how long nothing need happen before a run is looked at nevertheless
GRACE_SECONDS: Final = 3.0  # a trouble that is over by then is not worth telling
RETRY: Final = (0.5, 1.0, 2.0, 5.0, 10.0)
STOP_SECONDS: Final = 300.0  # by then a run that was told to stop counts as stopped, whatever is left of it
INVALID: Final = frozenset({400, 422})

# Has the observation log know of an attempt before it can report; raises StoreUnavailable.
Announce = Callable[[RunOrder], Awaitable[None]]


@dataclass(slots=True)
class Course:
    """One attempt of one trial; `tell` is given its reports, in order, the last of which is not of phase RUNNING."""

    cluster: Cluster
    site: Site
    order: RunOrder
    tell: Callable[[RunReport], None]
    announce: Announce
    over: bool = False  # whether the run has had its verdict
    _document: Json | None = None
    _uid: str = ""  # the run object's, once there is one
    _gone: set[str] = field(default_factory=set)
    _resource: Resource | None = None
    _task: asyncio.Task[None] | None = None
    _output: RunOutput | None = None
    _pod: Pod | None = None
    _stop: bool = False
    _stopping: float | None = None
    _since: float = 0.0  # when the object was seen first
    _trouble: Trouble | None = None
    _told: Trouble | None = None
    _troubled: float = 0.0
    _asked: float = 0.0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self) -> asyncio.Task[None]:
        """Start on it; the task that attends to it."""
        self._task = asyncio.create_task(self._run())
        return self._task

    def stop(self) -> None:
        """End the run; an ENDED report follows."""
        self._stop = True
        self._changed.set()

    async def close(self) -> None:
        """Let go of the run without ending it."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def trial(self) -> Name:
        """Whose run it is."""
        return Name(self.order.document["metadata"]["namespace"], self.order.name)

    @property
    def made(self) -> tuple[Resource, str] | None:
        """The resource and uid of the run object, where there is one."""
        if self._resource is None or self._document is None:
            return None
        return self._resource, self._document["metadata"]["uid"]

    def object_changed(self, document: Json) -> None:
        """The run object is as given; news of the attempt before may still come in."""
        if not owned_by(document, self.order.trial_uid) or self._uid not in {"", document["metadata"]["uid"]}:
            return
        self._document = document
        self._changed.set()

    def object_gone(self, uid: str) -> None:
        """The run object with this uid is gone."""
        self._gone.add(uid)
        if self._document is not None and self._document["metadata"]["uid"] == uid:
            self._document = None
        self._changed.set()

    def pods_changed(self) -> None:
        """One of the run's pods is new, different or gone."""
        self._changed.set()

    async def _run(self) -> None:
        leave = self.cluster.follow(self.trial, self)
        try:
            if await self._obtain():
                self._since = time.monotonic()
                self._report(RunPhase.RUNNING)
                while not await self._step():
                    await self._pause()
        finally:
            leave()
            if self._output is not None:
                await self._output.close()

    async def _pause(self) -> None:
        seconds = GRACE_SECONDS if self._trouble != self._told else LOOK_SECONDS
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    def _report(self, phase: RunPhase | None, **facts: Any) -> None:
        self.tell(RunReport(self.order.name, self.order.trial.attempt, phase, **facts))

    # Beginning

    async def _obtain(self) -> bool:
        """Whether there is a run object of this trial now; where not, why was told."""
        tries = 0
        while True:
            if self._stop:
                self._report(RunPhase.ENDED, stopped=True)
                return False
            try:
                return await self._look_or_create()
            except Refused as error:
                if error.status in INVALID and "admission webhook" not in error.message:
                    self._report(RunPhase.ENDED, reason="InvalidRunObject", detail=error.message)
                    return False
                trouble = _refusal(error)
            except Absent as error:
                trouble = Trouble("KindNotFound", error.message)
            except ApiError as error:
                trouble = Trouble(error.reason or "ApiServerUnreachable", error.message)
            except StoreUnavailable as error:
                trouble = Trouble("ObservationLogUnavailable", str(error))
            self._report(RunPhase.WAITING, reason=trouble.reason, detail=trouble.message)
            await self._sleep(RETRY[min(tries, len(RETRY) - 1)])
            tries += 1

    async def _look_or_create(self) -> bool:
        order = self.order
        self._resource = await self.cluster.kinds.resource(order.document)
        self.cluster.kinds.watch(self._resource)
        there = None if order.fresh and not self._changed.is_set() else await self._existing()
        if there is None and order.adopt_only:
            self._report(RunPhase.ABSENT)
            return False
        if there is None and order.trial.state is TrialState.RUNNING:
            self._report(RunPhase.LOST, detail="the run object has vanished")
            return False
        if not order.adopt_only:
            await self.announce(order)
        if there is None:
            body = self.site.object(order.document, order.trial_uid)
            try:
                there = await self.cluster.api.create(self._resource, self.trial.namespace, body)
            except AlreadyExists:
                self._changed.set()  # so that the next look asks what is there
                raise
        self._uid = there["metadata"]["uid"]
        # What the watch has told of this very object meanwhile is newer.
        if self._document is None or self._document["metadata"]["uid"] != self._uid:
            self._document = there if self._uid not in self._gone else None
        return True

    async def _existing(self) -> Json | None:
        """The run object of this trial that is there already; raises what keeps us from knowing, or from its name."""
        assert self._resource is not None
        try:
            there = await self.cluster.api.get(self._resource, *self.trial)
        except Absent:
            return None
        name = self.trial.name
        if not owned_by(there, self.order.trial_uid):
            raise ApiError(409, "NameTaken", f"a {there['kind']} {name} that is not this trial's is there already")
        # One that an earlier controller has told to end is attended to its end: its output is still to be read.
        if there["metadata"].get("deletionTimestamp") and self.order.trial.stop is None:
            raise ApiError(409, "Terminating", f"the {there['kind']} {name} of the attempt before is still going")
        if ANNOTATION_SUSPENDED in (there["metadata"].get("annotations") or {}) and not self.order.adopt_only:
            patch = {"metadata": {"annotations": {ANNOTATION_SUSPENDED: None}}, **(switch(there, False) or {})}
            return await self.cluster.api.patch(self._resource, self.trial, patch)
        return there

    async def _sleep(self, seconds: float) -> None:
        """A stop and a change of the object that is in the way end it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()

    # Attending

    async def _step(self) -> bool:
        """Look at what is; whether the attempt is over, and was told so."""
        document = self._document
        if document is None:
            await self._vanished()
            return True
        verdict = self.site.verdict(document)
        if verdict is not None:
            return await self._ended(document, *verdict)
        if self._stop:
            return await self._end(document)
        return self._mind_pods(document)

    async def _vanished(self) -> None:
        if self._stopping is not None:
            await self._finish(RunPhase.ENDED, stopped=True)
            return
        disrupted = any(pod.disrupted for pod in [*self.cluster.pods_of(self.trial), self._pod] if pod is not None)
        self._report(RunPhase.LOST, disrupted=disrupted, detail="the run object was deleted by somebody else")

    async def _ended(self, document: Json, succeeded: bool, match: Match) -> bool:
        """The run has its verdict. One that a disruption of the cluster failed is no failure of the trial's."""
        pod = self._primary() or self._pod
        if not succeeded and pod is not None and pod.disrupted:
            await self._delete(document, "Foreground")
            self._report(RunPhase.LOST, disrupted=True, detail=match.message or "its pod was disrupted")
            return True
        self.over = True
        await self._finish(RunPhase.ENDED, document=document)
        return True

    async def _end(self, document: Json) -> bool:
        """Bring the run to its end, and wait until nothing is left that could still print or report."""
        if self._stopping is None:
            if (pod := self._primary()) is not None and self.site.format is not None:
                self._attach(pod).follow_last()  # its last words are gone with the pod
            await self._tell_to_end(document)
            return False
        left = list(self.cluster.pods_of(self.trial))
        overdue = time.monotonic() - self._stopping > STOP_SECONDS
        if overdue or (suspended(document) and not any(not pod.ended for pod in left)):
            detail = f"{document['kind']} {self.trial.name} was told to end and is still there" if overdue else ""
            await self._finish(RunPhase.ENDED, stopped=True, detail=detail)
            return True
        return False

    async def _tell_to_end(self, document: Json) -> None:
        assert self._resource is not None
        patch = switch(document, True) if self.site.retain else None
        if patch is None:
            await self._delete(document, "Foreground")
        else:
            patch = {"metadata": {"annotations": {ANNOTATION_SUSPENDED: "true"}}, **patch}
            try:
                await self.cluster.api.patch(self._resource, self.trial, patch)
            except ApiError:
                return  # tried again at the next look
        self._stopping = time.monotonic()

    async def _delete(self, document: Json, policy: str) -> None:
        assert self._resource is not None
        tries = 0
        while True:
            try:
                await self.cluster.api.delete(self._resource, self.trial, document["metadata"]["uid"], policy)
            except (Absent, Conflict, Refused):
                return
            except ApiError:
                await asyncio.sleep(RETRY[min(tries, len(RETRY) - 1)])
                tries += 1
            else:
                return

    # Pods

    def _primary(self) -> Pod | None:
        wanted = self.site.primary_labels
        return newest(pod for pod in self.cluster.pods_of(self.trial) if pod.is_primary(wanted))

    def _mind_pods(self, document: Json) -> bool:
        """Follow the primary pod; whether the kind has put another in its place, which is an attempt of its own."""
        pod = self._primary()
        before, self._pod = self._pod, pod or self._pod
        if pod is not None and before is not None and pod.uid != before.uid and _one_by_one(document):
            if before.disrupted:
                self._report(RunPhase.LOST, disrupted=True, detail=f"pod {before.name} was disrupted")
            else:
                self._report(RunPhase.ENDED, retry=True)
            return True
        follows = self.site.live and self.site.format is not None
        if follows and pod is not None and self.site.primary_container in pod.started:
            self._attach(pod).follow()
        self._mind_trouble(document)
        return False

    def _mind_trouble(self, document: Json) -> None:
        """Tell of a trouble once it has lasted, and of its end."""
        trouble = self._what_it_waits_for(document)
        now = time.monotonic()
        if trouble != self._trouble:
            self._trouble, self._troubled = trouble, now
        if trouble == self._told or (trouble is not None and now - self._troubled < GRACE_SECONDS):
            return
        self._told = trouble
        if trouble is None:
            self._report(RunPhase.RUNNING)
        else:
            self._report(RunPhase.WAITING, reason=trouble.reason, detail=trouble.message)

    def _what_it_waits_for(self, document: Json) -> Trouble | None:
        if suspended(document):
            queue = (document["metadata"].get("labels") or {}).get("kueue.x-k8s.io/queue-name")
            where = f"in Kueue's queue {queue}" if queue else "until somebody sets its suspend to false"
            return Trouble("Suspended", f"{document['kind']} {self.trial.name} is held back {where}")
        pods = list(self.cluster.pods_of(self.trial))
        if not pods:
            self._look_up_events(document)
            return self._trouble
        return next((pod.trouble for pod in pods if pod.trouble is not None), None)

    def _look_up_events(self, document: Json) -> None:
        """Why there are no pods (a quota, an admission webhook) only the events of the object say."""
        now = time.monotonic()
        if now - self._since < GRACE_SECONDS or now - self._asked < RETRY[-1]:
            return
        self._asked = now
        task = asyncio.create_task(self._read_events(document))
        task.add_done_callback(lambda _: self._changed.set())

    async def _read_events(self, document: Json) -> None:
        selection = Selection(self.trial.namespace, fields=f"involvedObject.uid={document['metadata']['uid']}")
        with suppress(ApiError):
            async for page in self.cluster.api.pages(EVENTS, selection):
                warnings = [item for item in page.items if item.get("type") == "Warning"]
                for event in sorted(warnings, key=lambda item: str(item.get("lastTimestamp") or ""))[-1:]:
                    self._trouble = Trouble(str(event.get("reason")), str(event.get("message")))

    # Output

    def _attach(self, pod: Pod) -> RunOutput:
        if self._output is None or self._output.pod.uid != pod.uid:
            self._output = RunOutput(self.cluster, self.site, pod, self._measured, self.order.position)
        return self._output

    def _measured(self, items: list[Measurement]) -> None:
        self._report(None, measurements=tuple(items))

    async def _finish(self, phase: RunPhase, **facts: Any) -> None:
        """The last report, with what its output has to tell."""
        notes: list[str] = []
        found: list[Measurement] = []
        if self.site.format is not None:
            try:
                found = await self._rest()
            except ApiError as error:
                notes.append(f"its output cannot be read: {error.message}")
        output = self._output
        notes += output.notes() if output is not None else []
        seen = output.seen if output is not None else ()
        self._report(phase, measurements=tuple(found), seen=seen, notes=tuple(notes), **facts)

    async def _rest(self) -> list[Measurement]:
        pod = self._primary()
        if pod is None:
            await self.cluster.look_up_pods(self.trial)
            pod = self._primary()
        if pod is None:
            pod = self._pod
        if pod is None:
            return []
        return await self._attach(pod).rest()


def _one_by_one(document: Json) -> bool:
    """Whether the kind runs one primary pod after the other, so that a later one is another attempt."""
    spec = document.get("spec") or {}
    return document.get("kind") == "Job" and spec.get("parallelism", 1) == 1 and spec.get("completions", 1) == 1


def _refusal(error: Refused) -> Trouble:
    if "exceeded quota" in error.message:
        return Trouble("QuotaExceeded", error.message)
    return Trouble(error.reason or "Refused", error.message)
