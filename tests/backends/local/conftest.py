"""A work folder, and runners in it that run real processes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest

from katib_py.backends.local.configs import Configs
from katib_py.backends.local.database import Database
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.environment import ENV_RUN
from katib_py.backends.local.folder import RunFolder, run_folder
from katib_py.backends.local.program import Site
from katib_py.backends.local.runner import LocalRunner
from katib_py.controller.ports import RunOrder, RunPhase, RunReport
from katib_py.core.experiment import Experiment
from katib_py.core.objective import Measurement
from katib_py.core.trial import Assignment, TrialRecord, trial_uid

PATIENCE_SECONDS = 30.0


def experiment(**spec: Any) -> Experiment:
    given = {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "trialTemplate": {"primaryContainerName": "main"},
        **spec,
    }
    metadata = {"name": "demo", "namespace": "team-a", "uid": "0b8f6f3e-8a0e-4a59-9a0e-0a4a7d7c1b11"}
    return Experiment.model_validate({"metadata": metadata, "spec": given})


def job(command: Sequence[str] | None, pod: dict[str, Any] | None = None, **container: Any) -> dict[str, Any]:
    """A batch Job; `pod` are further fields of the pod's spec, and `job` of the Job's."""
    of_job = container.pop("job", {})
    main = {"name": "main", "image": "example/train:1", **container}
    if command is not None:
        main["command"] = list(command)
    spec = {"restartPolicy": "Never", "containers": [main], **(pod or {})}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "demo-x"},
        "spec": {"template": {"metadata": {"labels": {"team": "a"}}, "spec": spec}, **of_job},
    }


def shell(script: str, **more: Any) -> dict[str, Any]:
    return job(["sh", "-c", script], **more)


def python(script: str, **more: Any) -> dict[str, Any]:
    return job([sys.executable, "-c", script], **more)


def order(document: dict[str, Any], name: str = "demo-x", **record: Any) -> RunOrder:
    adopt_only, fresh = record.pop("adopt_only", False), record.pop("fresh", False)
    parent = record.pop("parent", "")
    labels = (("pbt.suggestion.katib.kubeflow.org/parent", parent),) if parent else ()
    trial = TrialRecord(Assignment(name, 0, (), labels), 0.0, **record)
    return RunOrder(trial, trial_uid("0b8f6f3e", name), document, adopt_only, fresh)


def status(report: RunReport) -> dict[str, Any]:
    assert report.document is not None
    return report.document["status"]


def text(report: RunReport) -> str:
    """The reason and message of a failed run."""
    condition = status(report)["conditions"][0]
    return f"{condition['reason']}: {condition['message']}"


@dataclass
class Engine:
    """A runner and what it has reported."""

    runner: LocalRunner
    wake: asyncio.Event
    reports: list[RunReport] = field(default_factory=list)
    read: int = 0

    async def until(self, holds: Callable[[RunReport], bool]) -> RunReport:
        """Wait for a report."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self.wake.clear()
                self.reports += self.runner.reports()
                while self.read < len(self.reports):
                    self.read += 1
                    if holds(self.reports[self.read - 1]):
                        return self.reports[self.read - 1]
                await self.wake.wait()

    async def phase(self, phase: RunPhase, name: str = "demo-x") -> RunReport:
        return await self.until(lambda report: report.phase is phase and report.name == name)

    async def run(self, document: dict[str, Any], **record: Any) -> RunReport:
        """Run to the end."""
        self.runner.start(order(document, **record))
        return await self.phase(RunPhase.ENDED, record.get("name", "demo-x"))

    @property
    def measurements(self) -> list[Measurement]:
        return [item for report in self.reports for item in report.measurements]


@dataclass
class House:
    """A work folder; every `engine` in it is a controller of its own."""

    root: Path
    database: Database
    engines: list[Engine] = field(default_factory=list)

    # Tests cannot import this file, so they find its functions here.
    experiment = staticmethod(experiment)
    order = staticmethod(order)
    job = staticmethod(job)
    shell = staticmethod(shell)
    python = staticmethod(python)
    status = staticmethod(status)
    text = staticmethod(text)

    def engine(self, given: Experiment | None = None, **site: Any) -> Engine:
        wake = asyncio.Event()
        site.setdefault("configs", Configs())
        where = Site(given or experiment(), str(self.root / "runs"), str(self.root), **site)
        engine = Engine(LocalRunner(where, Desk(self.database), wake.set), wake)
        self.engines.append(engine)
        return engine

    def folder(self, name: str = "demo-x", attempt: int = 1) -> RunFolder:
        return run_folder(str(self.root / "runs"), ("team-a", "demo"), name, attempt)

    def processes(self) -> list[psutil.Process]:
        """Everything that any run of this house started and that is still there."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(ENV_RUN, "").startswith(str(self.root)):
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture
async def house(tmp_path, db_url):
    database = Database(db_url)
    house = House(tmp_path, database)
    yield house
    for engine in house.engines:
        await engine.runner.close()
    for process in house.processes():
        with suppress(psutil.NoSuchProcess):
            process.kill()
    database.close()


@pytest.fixture
async def engine(house) -> Engine:
    return house.engine()
