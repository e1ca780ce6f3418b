"""What every runner promises the engine: on real processes, on a real API server and on the simulated platform."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from support.cluster.played_runs import played_runs

from katib_py.backends.local.database import Database
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.program import Site
from katib_py.backends.local.runner import LocalRunner
from katib_py.backends.simulated.clock import VirtualClock
from katib_py.backends.simulated.runner import SimulatedRun, SimulatedRunner
from katib_py.controller.ports import Clock, Runner, RunOrder, RunPhase, RunReport
from katib_py.core.conditions import Condition
from katib_py.core.experiment import Experiment
from katib_py.core.kinds import KINDS
from katib_py.core.names import LABEL_TRIAL
from katib_py.core.pods import mark
from katib_py.core.trial import Assignment, TrialRecord

GOOD, BAD, LONG = "echo loss=0.5", "echo loss=0.5; exit 1", "echo loss=0.5; sleep 600"
EXPERIMENT = {
    "metadata": {"name": "demo"},
    "spec": {
        "objective": {"type": "minimize", "objectiveMetricName": "loss"},
        "trialTemplate": {"primaryContainerName": "main", "trialSpec": {"apiVersion": "batch/v1", "kind": "Job"}},
    },
}


@dataclass
class World:
    """A runner, its time, and the uids of its trials where somebody gave them."""

    runner: Runner
    wait: Callable[[], Any]
    uids: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "default"

    def start(self, name: str, does: str, adopt_only: bool = False, attempt: int = 1) -> None:
        trial = TrialRecord(Assignment(name, 0, (("does", does),)), 0.0, attempt=attempt)
        run = mark(document(does, {"name": name, "namespace": self.namespace}), {LABEL_TRIAL: name}, {})
        self.runner.start(RunOrder(trial, self.uids.get(name, f"uid-{name}"), run, adopt_only))

    async def until(self, phase: RunPhase) -> list[RunReport]:
        """Every report up to the first of this phase."""
        seen: list[RunReport] = []
        async with asyncio.timeout(30):
            while phase not in {report.phase for report in seen}:
                await self.wait()
                seen += self.runner.reports()
        return seen


def document(does: str, metadata: Mapping[str, str]) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "x", "command": ["sh", "-c", does]}], "restartPolicy": "Never"}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": {"spec": pod}}}


@pytest.fixture
async def local(tmp_path):
    database, wake = Database(f"sqlite:///{tmp_path / 'katib.db'}"), asyncio.Event()
    site = Site(Experiment.model_validate(EXPERIMENT), str(tmp_path / "runs"), str(tmp_path))
    runner = LocalRunner(site, Desk(database), wake.set)

    async def wait() -> None:
        await wake.wait()
        wake.clear()

    yield World(runner, wait)
    for name in ("demo-a", "demo-b"):
        runner.stop(name)
    await asyncio.sleep(0.1)
    await runner.close()
    database.close()


@pytest.fixture
async def simulated():
    clock: Clock = VirtualClock()

    def simulate(parameters: Any, trial: str) -> SimulatedRun:
        does = parameters["does"]
        return SimulatedRun(600.0 if does == LONG else 1.0, [(0.5, "loss", 0.5)], does != BAD)

    async def wait() -> None:
        await clock.wait(asyncio.Event(), 1.0, False)

    return World(SimulatedRunner(clock, simulate), wait)


@pytest.fixture
async def kubernetes(api_server, crds, namespace):
    async with played_runs(api_server, namespace, EXPERIMENT, ["demo-a", "demo-z"]) as played:

        async def wait() -> None:
            await played.wake.wait()
            played.wake.clear()

        yield World(played.runner, wait, played.uids, namespace)


@pytest.fixture(params=["local", "kubernetes", "simulated"])
def world(request) -> World:
    return request.getfixturevalue(request.param)


def verdict(report: RunReport) -> bool | None:
    """What a batch Job's own conditions say of the run."""
    kind = KINDS["Job"]
    if Condition.parse(kind.failure).match(report.document or {}) is not None:
        return False
    return True if Condition.parse(kind.success).match(report.document or {}) is not None else None


@pytest.mark.parametrize(("does", "succeeds"), [(GOOD, True), (BAD, False)])
async def test_a_run_is_running_and_then_ends_with_a_verdict(world, does, succeeds):
    world.start("demo-a", does)
    seen = await world.until(RunPhase.ENDED)
    assert [report.phase for report in seen if report.phase] == [RunPhase.RUNNING, RunPhase.ENDED]
    assert verdict(seen[-1]) is succeeds
    assert not seen[-1].stopped
    assert [item.value for report in seen for item in report.measurements] == ["0.5"]


async def test_a_run_that_is_stopped_says_so(world):
    world.start("demo-a", LONG)
    await world.until(RunPhase.RUNNING)
    world.runner.stop("demo-a")
    seen = await world.until(RunPhase.ENDED)
    assert seen[-1].stopped
    world.runner.stop("demo-a")
    world.runner.forget("demo-a", retain=False)
    assert not list(world.runner.reports())


async def test_where_nothing_is_nothing_is_adopted(world):
    world.start("demo-a", GOOD, adopt_only=True)
    (report,) = await world.until(RunPhase.ABSENT)
    assert (report.name, report.attempt) == ("demo-a", 1)


async def test_reports_name_their_attempt_and_come_once(world):
    world.start("demo-a", GOOD, attempt=3)
    seen = await world.until(RunPhase.ENDED)
    assert {report.attempt for report in seen} == {3}
    assert not list(world.runner.reports())


async def test_stopping_or_forgetting_what_was_never_started_is_no_error(world):
    world.runner.stop("demo-z")
    world.runner.forget("demo-z", retain=True)
    assert not list(world.runner.reports())
