"""What a new engine makes of the runs of one that is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys

import psutil
import pytest

from katib_py.backends.local.adoption import State, find, running
from katib_py.backends.local.program import Program
from katib_py.backends.local.starter import Starter
from katib_py.controller.ports import RunPhase
from katib_py.core.trial import StopIntent, StopKind

UNTIL_GO = "echo loss=1; until [ -e go ]; do sleep 0.02; done; echo loss=0.5"


async def started(house, document):
    """A run whose engine has let go of it."""
    engine = house.engine()
    engine.runner.start(house.order(document))
    await engine.phase(RunPhase.RUNNING)
    await claimed(house)
    await engine.runner.close()


async def claimed(house, attempt=1):
    while (claim := house.folder(attempt=attempt).newest_claim()) is None or claim.program is None:
        await asyncio.sleep(0.01)
    return claim


async def test_a_run_that_goes_on_is_followed_on(house):
    await started(house, house.shell(UNTIL_GO))
    second = house.engine()
    second.runner.start(house.order(house.shell(UNTIL_GO)))
    await second.phase(RunPhase.RUNNING)
    (house.root / "go").touch()
    report = await second.phase(RunPhase.ENDED)
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in second.measurements] == ["1", "0.5"]


async def test_a_run_that_ended_meanwhile_is_taken_with_all_its_output(house):
    await started(house, house.shell(UNTIL_GO))
    (house.root / "go").touch()
    await over(house)
    second = house.engine()
    report = await second.run(house.shell(UNTIL_GO), adopt_only=True)
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in second.measurements] == ["1", "0.5"]


async def test_measurements_of_two_engines_have_the_same_positions(house):
    await started(house, house.shell(UNTIL_GO))
    (house.root / "go").touch()
    await over(house)
    first, second = house.engine(), house.engine()
    for engine in (first, second):
        await engine.run(house.shell(UNTIL_GO))
    assert [item.position for item in first.measurements] == [item.position for item in second.measurements]


async def test_an_adopted_run_can_be_stopped(house):
    await started(house, house.shell("setsid sleep 600 & sleep 600"))
    second = house.engine()
    second.runner.start(house.order(house.shell("")))
    await second.phase(RunPhase.RUNNING)
    second.runner.stop("demo-x")
    report = await second.phase(RunPhase.ENDED)
    assert report.stopped
    assert not house.processes()


async def test_an_adopted_run_keeps_its_deadline(house):
    document = house.shell("sleep 600", job={"activeDeadlineSeconds": 2})
    await started(house, document)
    report = await house.engine().run(document)
    assert house.text(report).startswith("DeadlineExceeded")


async def test_a_new_trial_never_gets_what_a_forgotten_one_of_its_name_measured(house):
    await started(house, house.shell("echo loss=1"))
    await over(house)
    engine = house.engine()
    engine.runner.start(house.order(house.shell("echo loss=2"), fresh=True))
    assert (await engine.phase(RunPhase.LOST)).disrupted
    report = await engine.run(house.shell("echo loss=2"), fresh=True, attempt=2)
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in engine.measurements] == ["2"]


async def test_where_nothing_is_nothing_is_adopted(house, engine):
    engine.runner.start(house.order(house.shell("echo loss=1"), adopt_only=True))
    await engine.phase(RunPhase.ABSENT)
    assert not house.folder().exists()


async def test_an_attempt_that_was_begun_but_not_started_is_started_now(house, engine):
    house.folder().create()
    engine.runner.start(house.order(house.shell("echo loss=1"), adopt_only=True))
    await engine.phase(RunPhase.ABSENT)
    report = await engine.run(house.shell("echo loss=1"))
    assert house.status(report)["phase"] == "Succeeded"


async def test_a_start_that_comes_after_it_was_given_up_runs_nothing(house, engine):
    folder = house.folder()
    folder.create()
    found = find(folder)
    assert (found.state, found.start) == (State.UNSTARTED, 2)
    late = Program(["/usr/bin/touch", str(house.root / "ran")], os.environ, str(house.root))
    starter = Starter()
    with pytest.raises(OSError, match="run-1: File exists"):
        await starter.start(folder, 1, late)
    await starter.close()
    assert not (house.root / "ran").exists()
    report = await engine.run(house.shell("echo loss=1"))
    assert house.status(report)["phase"] == "Succeeded"


async def test_a_run_that_vanished_is_lost(house):
    await started(house, house.shell("sleep 600"))
    await kill_with_its_server(house)
    engine = house.engine()
    engine.runner.start(house.order(house.shell("sleep 600")))
    report = await engine.phase(RunPhase.LOST)
    assert not report.disrupted


async def test_a_run_whose_server_vanished_is_followed_on_and_lost_at_its_end(house):
    await started(house, house.shell(UNTIL_GO))
    os.kill((await claimed(house)).server.pid, signal.SIGKILL)
    second = house.engine()
    second.runner.start(house.order(house.shell(UNTIL_GO)))
    await second.phase(RunPhase.RUNNING)
    (house.root / "go").touch()
    await second.phase(RunPhase.LOST)
    assert [item.value for item in second.measurements] == ["1", "0.5"]


async def test_a_start_that_was_interrupted_is_recognised_by_what_the_program_was_given(house):
    """The server was killed after it had started the program and before it said so."""
    await started(house, house.shell(UNTIL_GO))
    claim = await claimed(house)
    os.kill(claim.server.pid, signal.SIGKILL)
    unsay_program(house, claim)
    found = find(house.folder())
    assert (found.state, found.pid) == (State.ALIVE, claim.program.pid)
    (house.root / "go").touch()


async def test_an_interrupted_start_of_which_nothing_is_left_is_lost(house):
    await started(house, house.shell("sleep 600"))
    claim = await claimed(house)
    await kill_with_its_server(house)
    unsay_program(house, claim)
    assert find(house.folder()).state is State.LOST


async def test_a_reboot_is_a_disruption(house):
    await started(house, house.shell("sleep 600"))
    claim = await claimed(house)
    await kill_with_its_server(house)
    before = psutil.boot_time() - 3600
    os.utime(house.folder().claim_path(claim.number), (before, before))
    engine = house.engine()
    engine.runner.start(house.order(house.shell("sleep 600")))
    assert (await engine.phase(RunPhase.LOST)).disrupted


async def test_a_process_that_got_the_same_number_later_is_not_the_run(house):
    await started(house, house.shell("sleep 600"))
    claim = await claimed(house)
    await kill_with_its_server(house)
    # The kernel counts births in ticks, and a number never comes round within one.
    await asyncio.sleep(2 / os.sysconf("SC_CLK_TCK"))
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        with open(house.folder().claim_path(claim.number), "w", encoding="utf-8") as file:
            file.write(f"server 1 0\nprogram {stranger.pid} {claim.program.birth}\n")
        assert find(house.folder()).state is State.LOST
        assert not running(house.folder().path)
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("kind", [StopKind.KILLED, StopKind.SUSPENDED, StopKind.EARLY_STOPPED])
async def test_an_end_that_was_asked_for_is_found_as_such(house, kind):
    """The engine was killed between asking and hearing of the end."""
    await started(house, house.shell("echo loss=1; sleep 600"))
    await said(house)
    house.folder().tell_to_stop("Stopped")
    os.killpg((await claimed(house)).program.pid, signal.SIGTERM)
    await over(house)
    engine = house.engine()
    report = await engine.run(house.shell("sleep 600"), stop=StopIntent(kind, "enough"))
    assert report.stopped


async def test_a_run_stopped_while_no_engine_was_there_is_no_failure(house):
    await started(house, house.shell("sleep 600"))
    house.folder().tell_to_stop("Stopped")
    os.killpg((await claimed(house)).program.pid, signal.SIGKILL)
    await over(house)
    engine = house.engine()
    engine.runner.start(house.order(house.shell("sleep 600")))
    assert (await engine.phase(RunPhase.LOST)).disrupted


async def test_a_verdict_older_than_the_order_to_stop_stands(house):
    await started(house, house.shell("echo loss=1"))
    async with asyncio.timeout(30):
        while house.folder().exit_status() is None:
            await asyncio.sleep(0.01)
    house.folder().tell_to_stop("Stopped")
    os.utime(house.folder().claim_path(1), (1.0, 1.0))
    report = await house.engine().run(house.shell(""), stop=StopIntent(StopKind.KILLED, "enough"))
    assert not report.stopped
    assert house.status(report)["phase"] == "Succeeded"


async def test_a_killed_engine_leaves_its_runs_to_the_next(house):
    """A whole engine process, killed while its run goes on."""
    script = f"""
import asyncio, sys, types
sys.path.insert(0, {str(house.root)!r})
from katib_py.backends.local.database import Database
from katib_py.backends.local.desk import Desk
from katib_py.backends.local.program import Site
from katib_py.backends.local.runner import LocalRunner
from katib_py.controller.ports import RunOrder
from katib_py.core.experiment import Experiment
from katib_py.core.trial import Assignment, TrialRecord

async def main():
    experiment = Experiment.model_validate({house.experiment().dump()!r})
    site = Site(experiment, {str(house.root / "runs")!r}, {str(house.root)!r})
    runner = LocalRunner(site, Desk(Database({house.database.url!r})), lambda: None)
    runner.start(RunOrder(TrialRecord(Assignment("demo-x", 0, ()), 0.0), "uid", {house.shell(UNTIL_GO)!r}))
    await asyncio.sleep(600)

asyncio.run(main())
"""
    engine = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    claim = await claimed(house)
    engine.kill()
    await engine.wait()
    assert psutil.pid_exists(claim.program.pid)
    second = house.engine()
    second.runner.start(house.order(house.shell(UNTIL_GO)))
    await second.phase(RunPhase.RUNNING)
    (house.root / "go").touch()
    report = await second.phase(RunPhase.ENDED)
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in second.measurements] == ["1", "0.5"]


async def kill_with_its_server(house):
    """Nobody is left who could say how the run ended."""
    claim = await claimed(house)
    os.kill(claim.server.pid, signal.SIGKILL)
    os.killpg(claim.program.pid, signal.SIGKILL)
    async with asyncio.timeout(30):
        while there(claim.server.pid) or there(claim.program.pid):
            await asyncio.sleep(0.01)


def unsay_program(house, claim):
    """The claim as it was before the program was named."""
    with open(house.folder().claim_path(claim.number), "w", encoding="utf-8") as file:
        file.write(f"server {claim.server.pid} {claim.server.birth}\n")


async def said(house):
    """Wait until the program has said something: the shell has started it then."""
    async with asyncio.timeout(30):
        while not os.path.getsize(house.folder().output):
            await asyncio.sleep(0.01)


async def over(house):
    """Wait until the run's process is gone; whoever started it reaps it."""
    claim = house.folder().newest_claim()
    async with asyncio.timeout(30):
        while there(claim.program.pid):
            await asyncio.sleep(0.01)


def there(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
