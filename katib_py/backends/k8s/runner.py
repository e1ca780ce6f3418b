"""The Runner port on Kubernetes: a trial's run is an object of the template's kind, with the trial's name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.course import Course
from katib_py.backends.k8s.disposal import Rest
from katib_py.backends.k8s.run_object import Announce, RunObject
from katib_py.backends.k8s.site import Site
from katib_py.controller.ports import RunOrder, RunReport

MEASURED_SECONDS: Final = 0.2  # so long measurements wait for others


class KubeRunner:
    """The runs of one experiment; `wake` is called when there is something to report."""

    def __init__(self, cluster: Cluster, site: Site, announce: Announce, wake: Callable[[], None]) -> None:
        self._cluster = cluster
        self._site = site
        self._announce = announce
        self._wake = wake
        self._courses: dict[str, Course] = {}
        self._reports: list[RunReport] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._soon: asyncio.TimerHandle | None = None

    def start(self, order: RunOrder) -> None:
        """Have this attempt running: creates its object, or takes over what is there already."""
        course = Course(RunObject(self._cluster, self._site, order, self._announce), self._tell)
        self._courses[order.name] = course
        course.begin()

    def stop(self, name: str) -> None:
        """End the trial's run and everything that it started; an ENDED report follows."""
        if (course := self._courses.get(name)) is not None:
            course.stop()

    def reports(self) -> Iterable[RunReport]:
        """What is new since the last call, in order."""
        reports, self._reports = self._reports, []
        return reports

    def forget(self, name: str, retain: bool) -> None:
        """The attempt is over and recorded; the object of a finished trial is deleted unless it is to be kept."""
        course = self._courses.pop(name, None)
        if course is None:
            return
        closing = asyncio.create_task(course.close())
        self._tasks.add(closing)
        closing.add_done_callback(self._tasks.discard)
        run = course.run
        if not retain and course.over and run.resource is not None:
            self._cluster.disposal.add(Rest(run.resource, run.trial, run.uid))

    async def close(self) -> None:
        """Let go of every run without ending it."""
        if self._soon is not None:
            self._soon.cancel()
        await asyncio.gather(*(course.close() for course in self._courses.values()))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _tell(self, report: RunReport) -> None:
        self._reports.append(report)
        if report.phase is not None:
            self._wake()
        elif self._soon is None:
            # A thousand logs bring a line at any moment, and none is in a hurry.
            self._soon = asyncio.get_running_loop().call_later(MEASURED_SECONDS, self._wake_up)

    def _wake_up(self) -> None:
        self._soon = None
        self._wake()
