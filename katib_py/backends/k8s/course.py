"""The course of one attempt: its run object obtained, watched, stopped, and its end told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from katib_py.backends.k8s.api import Json
from katib_py.backends.k8s.errors import Absent, ApiError, Refused
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.left import Left
from katib_py.backends.k8s.obstacles import Obstacles
from katib_py.backends.k8s.output import RunOutput
from katib_py.backends.k8s.pods import Pod, Trouble
from katib_py.backends.k8s.primaries import Primaries
from katib_py.backends.k8s.resources import Resource
from katib_py.backends.k8s.run_object import STOP_SECONDS, RunObject
from katib_py.backends.k8s.troubles import GRACE_SECONDS, Troubles, by_admission, of_refusal
from katib_py.controller.ports import RunPhase, RunReport
from katib_py.core.conditions import Match
from katib_py.core.errors import StoreUnavailable
from katib_py.core.objective import Measurement
from katib_py.core.switches import is_ended, is_held
from katib_py.core.trial import TrialState

LOOK_SECONDS: Final = 5.0  # how long nothing need happen before a run is looked at nevertheless
RETRY: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
KEPT_SECONDS: Final = 60.0  # by then a run has ended that its switch can end
LAST_SECONDS: Final = 3.0  # how far the watch of pods may be behind that of run objects
DEFECT_SECONDS: Final = 10.0  # before a run is attended to again that a defect of ours has dropped
INVALID: Final = frozenset({400, 422})

Tell = Callable[[RunReport], None]

log = logging.getLogger(__name__)


class Course:
    """One attempt of one trial; `tell` is given its reports, in order, the last of which is not of phase RUNNING.

    `over` says whether the run has had its verdict.
    """

    def __init__(self, run: RunObject, tell: Tell) -> None:
        self.run = run
        self.over = False
        self._tell = tell
        self._site = run.site
        self._output = RunOutput(run.cluster, run.site, self._measured, run.order.position)
        self._obstacles = Obstacles(run)
        self._troubles = Troubles(self._troubled)
        attempt = run.order.trial.attempt
        self._primaries = Primaries(run.site.primary_labels, run.site.primary_container, attempt)
        self._task: asyncio.Task[None] | None = None
        self._stop = run.order.trial.stop is not None
        self._stopping: float | None = None
        self._told = False  # whether the run was told to end, by whomever
        self._deleting = False
        self._held = False  # whether its pods were held back since they were looked at first
        self._changed = asyncio.Event()

    def begin(self) -> None:
        """Start on it."""
        self._task = asyncio.create_task(self._go())

    def stop(self) -> None:
        """End the run; an ENDED report follows."""
        if not self._stop:
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
        return self.run.trial

    def object_changed(self, resource: Resource, document: Json) -> None:
        """An object with the trial's name is as given."""
        self.run.changed(resource, document)
        self._changed.set()

    def object_gone(self, resource: Resource, uid: str) -> None:
        """The object of that uid is gone."""
        self.run.vanished(resource, uid)
        self._changed.set()

    def pods_changed(self) -> None:
        """One of the run's pods is new, different or gone."""
        self._changed.set()

    async def _go(self) -> None:
        leave = self.run.cluster.follow(self.trial, self)
        try:
            while not await self._attended():
                await asyncio.sleep(DEFECT_SECONDS)
        finally:
            leave()
            await self._output.close()

    async def _attended(self) -> bool:
        """Attend to the run until its end was told; False where a defect of ours keeps us from it."""
        try:
            if self.run.document or await self._obtain():
                while not await self._step():
                    await self._pause(GRACE_SECONDS if self._troubles.pending else LOOK_SECONDS)
        except Exception as error:  # an edge: a run that nobody attends to would be waited for in silence
            log.exception("the run of trial %s/%s cannot be attended to", *self.trial)
            trouble = Trouble("Defect", f"a defect of the controller: {error!r}")
            self._troubles.was_told(trouble)
            self._troubled(trouble)
            return False
        return True

    async def _pause(self, seconds: float) -> None:
        """Until something has changed, and at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        self._changed.clear()

    def _report(self, phase: RunPhase | None, **facts: Any) -> None:
        order = self.run.order
        self._tell(RunReport(order.name, order.trial.attempt, phase, **facts))

    def _troubled(self, trouble: Trouble | None) -> None:
        if trouble is None:
            self._report(RunPhase.RUNNING)
        else:
            self._report(RunPhase.WAITING, reason=trouble.reason, detail=trouble.message)

    def _measured(self, items: list[Measurement]) -> None:
        self._report(None, measurements=tuple(items))

    # Beginning

    async def _obtain(self) -> bool:
        """Whether the run object of this trial is there; where not, why was told."""
        tries = 0
        while not self._stop:
            try:
                missing = await self.run.obtain()
            except Refused as error:
                if error.status in INVALID and not by_admission(error):
                    self._report(RunPhase.ENDED, reason="InvalidRunObject", detail=error.message)
                    return False
                trouble = of_refusal(error)
            except ApiError as error:
                trouble = of_refusal(error)
            except StoreUnavailable as error:
                trouble = Trouble("ObservationLogUnavailable", str(error))
            else:
                return self._obtained(missing)
            self._troubles.note(trouble, time.monotonic())
            await self._pause(RETRY[min(tries, len(RETRY) - 1)])
            tries += 1
        return await self._give_up()

    def _obtained(self, missing: RunPhase | None) -> bool:
        if missing is not None:
            detail = "the run object has vanished" if missing is RunPhase.LOST else ""
            self._report(missing, detail=detail)
            return False
        self._primaries.begun = self.run.begun
        waiting = self.run.order.trial.waiting
        if waiting is None or self.run.order.trial.state is not TrialState.RUNNING:
            self._troubles.was_told(None)
            self._report(RunPhase.RUNNING)
        else:
            # It was running and waiting before us, and is said to be so until we know better.
            self._obstacles.said = Trouble(waiting.reason, waiting.message)
            self._troubles.was_told(self._obstacles.said)
        return True

    async def _give_up(self) -> bool:
        """Told to stop before it was there: whether it is there nevertheless, and has to be ended."""
        while self.run.may_exist:
            try:
                if await self.run.adopt():
                    return self._obtained(None)
                break
            except Absent:
                break
            except ApiError as error:
                self._troubles.note(of_refusal(error), time.monotonic())
                await self._pause(RETRY[-1])
            except StoreUnavailable as error:
                self._troubles.note(Trouble("ObservationLogUnavailable", str(error)), time.monotonic())
                await self._pause(RETRY[-1])
        self._report(RunPhase.ENDED, stopped=True)
        return False

    # Attending

    async def _step(self) -> bool:
        """Look at what is; whether the attempt is over, and was told so."""
        run = self.run
        verdict = self._site.verdict(run.document)
        # What fails once it was told to end, by us or by others, fails because of that.
        self._told = self._told or self._stopping is not None or (run.ending and (self._stop or verdict is None))
        if verdict is not None and (verdict[0] or not self._told):
            return await self._ended(*verdict)
        if self._stop:
            return await self._end()
        if run.gone:
            disrupted = any(pod.disrupted for pod in self._known())
            self._report(RunPhase.LOST, disrupted=disrupted, detail="the run object was deleted by somebody else")
            return True
        return await self._attend()

    async def _ended(self, succeeded: bool, match: Match) -> bool:
        """The run has its verdict. One that a disruption of the cluster failed is no failure of the trial's."""
        if not succeeded and any(pod.disrupted for pod in self._known()):
            if not await self._done(self.run.delete()):
                return False
            self._report(RunPhase.LOST, disrupted=True, detail=match.message or "a pod of its was disrupted")
            return True
        await self._settle()
        if self._site.format is not None and self._primaries.over:
            # What is known so far is of earlier pods; the attempt that has had the verdict begins with nothing.
            self._report_replaced()
            return True
        self.over = True
        await self._finish(document=self.run.document)
        return True

    async def _attend(self) -> bool:
        """Follow its pods; whether the kind has put others in their place, which is an attempt of its own."""
        run, pods = self.run, self.run.pods()
        self._primaries.see(pods)
        if self._primaries.over:
            self._report_replaced()
            return True
        self._held = self._held or (is_held(run.document) and bool(self._primaries.newest))
        if self._site.format is not None:
            self._output.attend(self._primaries.newest, self._site.follows(run.document))
        now = time.monotonic()
        self._troubles.note(await self._obstacles.look(pods, now), now)
        return False

    def _report_replaced(self) -> None:
        disrupted = self._held or any(pod.disrupted for pod in self._primaries.replaced)
        if disrupted:
            self._report(RunPhase.LOST, disrupted=True, detail="its pod was taken away by the cluster")
        else:
            self._report(RunPhase.ENDED, retry=True)

    def _known(self) -> list[Pod]:
        """Its pods, and those of the attempt that have vanished."""
        pods = self.run.pods()
        self._primaries.see(pods)
        return [*pods, *self._primaries.newest]

    async def _done(self, work: Any) -> bool:
        """Whether the API server has done this; a refusal is told as what the run waits for."""
        try:
            await work
        except ApiError as error:
            self._troubles.note(of_refusal(error), time.monotonic())
            return False
        return True

    # Ending

    async def _end(self) -> bool:
        """Bring the run to its end, and wait until nothing is left that could still print or report."""
        run, now = self.run, time.monotonic()
        if self._stopping is None:
            await self._tell_to_end()
            return False
        left = [pod for pod in run.pods() if not pod.ended]
        late = now - self._stopping
        if (run.gone or (is_ended(run.document) and not self._deleting)) and not left:
            await self._finish(stopped=True)
            return True
        if late > STOP_SECONDS:
            what = f"pod {left[0].name}" if left else f"{run.document['kind']} {self.trial.name}"
            await self._finish(stopped=True, detail=f"{what} was told to end and is still there")
            return True
        if late > KEPT_SECONDS and not self._deleting and not run.gone:
            self._deleting = await self._done(run.delete())
        return False

    async def _tell_to_end(self) -> None:
        run = self.run
        if self._site.format is not None and not run.gone:
            self._known()
            await self._output.open(self._primaries.newest)  # its last words are gone with the pod
        if run.gone or run.ending or await self._done(run.end(self._site.retain)):
            self._stopping = time.monotonic()
            self._changed.set()

    async def _settle(self) -> None:
        """Wait for what the watch of pods has yet to tell of a run that has its verdict."""
        if self._site.format is None and not self._site.beside:
            return
        deadline = time.monotonic() + LAST_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            self._known()
            if all(map(self._says_no_more, self._primaries.newest)):
                return
            await self._pause(left)

    def _says_no_more(self, pod: Pod) -> bool:
        """Whether what counts of a pod, its output or its collector's last words, is there."""
        if pod.ended or pod.left:
            return True
        return not self._site.beside and pod.container(self._site.primary_container).ended

    async def _finish(self, **facts: Any) -> None:
        """The last report, with what its output has to tell."""
        found: list[Measurement] = []
        notes: list[str] = []
        if self._site.format is not None:
            pods = await self._to_read()
            found, notes = await self._output.rest(pods)
            if not pods and not facts.get("stopped"):
                notes.append(self._site.unread)
        notes += self._output.notes()
        left = Left.of(self._primaries.newest)
        notes += left.notes
        seen = (*self._output.seen, *left.seen)
        facts = {**facts, "measurements": tuple(found), "notes": tuple(notes), "seen": seen}
        self._report(RunPhase.ENDED, unreported=left.observation, **facts)

    async def _to_read(self) -> list[Pod]:
        """The pods whose output counts."""
        self._known()
        if not self._primaries.newest and not self.run.gone:
            with suppress(ApiError):
                naming = self._site.naming(self.run.document)
                self._primaries.see(await self.run.cluster.pods.look_up(self.trial, naming))
        return self._primaries.newest
