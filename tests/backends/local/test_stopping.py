"""Ending a run: nothing is left of it, and who ended by himself keeps his verdict."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time

import pytest

from katib_py.backends.local.ending import sweep
from katib_py.backends.local.environment import ENV_EXPERIMENT_UID, ENV_RUN
from katib_py.backends.local.scan import Mark
from katib_py.controller.ports import RunPhase

GRANDCHILD = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    time.sleep(600)
print("ready=1", flush=True)
time.sleep(600)
"""


async def running(house, engine, document, ready="loss"):
    """Start, and wait until the program has said something."""
    engine.runner.start(house.order(document))
    await engine.phase(RunPhase.RUNNING)
    while not os.path.exists(house.folder().output) or not os.path.getsize(house.folder().output):
        await asyncio.sleep(0.01)


async def stopped(engine):
    engine.runner.stop("demo-x")
    return await engine.phase(RunPhase.ENDED)


async def test_a_stopped_run_leaves_no_process(house, engine):
    await running(house, engine, house.shell("echo loss=1; sleep 600 & sleep 600"))
    report = await stopped(engine)
    assert report.stopped
    assert not house.processes()


async def test_neither_does_one_that_ignores_the_signal_and_hides_in_sessions_of_its_own(house, engine):
    await running(house, engine, house.python(GRANDCHILD, pod={"terminationGracePeriodSeconds": 1}))
    report = await stopped(engine)
    assert report.stopped
    assert not house.processes()


async def test_a_program_is_asked_first_and_its_last_words_are_measured(house, engine):
    script = "trap 'echo loss=0.125; exit 0' TERM; echo loss=1; while :; do sleep 0.05; done"
    await running(house, engine, house.shell(script))
    report = await stopped(engine)
    assert report.stopped
    assert [item.value for item in engine.measurements] == ["1", "0.125"]


async def test_a_run_that_ended_before_it_was_told_keeps_its_verdict(house, engine):
    engine.runner.start(house.order(house.shell("echo loss=1; exit 4")))
    await engine.phase(RunPhase.RUNNING)
    while house.folder().exit_status() is None:
        time.sleep(0.001)  # the loop must not see the end yet
    engine.runner.stop("demo-x")
    report = await engine.phase(RunPhase.ENDED)
    assert not report.stopped
    assert house.text(report).startswith("BackoffLimitExceeded: exit status 4")


async def test_stopping_again_and_again_is_the_same_as_once(house, engine):
    await running(house, engine, house.shell("echo loss=1; sleep 600"))
    for _ in range(5):
        engine.runner.stop("demo-x")
        await asyncio.sleep(0)
    await engine.phase(RunPhase.ENDED)
    engine.runner.stop("demo-x")
    engine.runner.stop("never-heard-of")
    await asyncio.sleep(0.1)
    assert [report.phase for report in engine.reports if report.phase] == [RunPhase.RUNNING, RunPhase.ENDED]
    assert not list(engine.runner.reports())


async def test_eight_runs_are_stopped_at_once(house, engine):
    for number in range(8):
        engine.runner.start(house.order(house.shell("sleep 600 & sleep 600"), f"demo-{number}"))
    for number in range(8):
        engine.runner.stop(f"demo-{number}")
    ends = [await engine.until(lambda report: report.phase is RunPhase.ENDED) for _ in range(8)]
    assert all(report.stopped for report in ends)
    assert not house.processes()


@pytest.mark.parametrize("delay", [0.0, 0.001, 0.003, 0.01])
async def test_a_run_may_be_stopped_at_any_moment_after_its_start(house, engine, delay):
    engine.runner.start(house.order(house.shell("echo loss=1; sleep 600")))
    await asyncio.sleep(delay)
    report = await stopped(engine)
    assert report.stopped
    assert not house.processes()


def marked(folder, uid="here"):
    return subprocess.Popen(["sleep", "600"], env={ENV_RUN: folder, ENV_EXPERIMENT_UID: uid})


async def test_a_sweep_passes_over_a_run_that_begins_meanwhile(house):
    """The first look is taken before the run is there: whoever is asked what lives hears of it just then."""
    root = str(house.root / "runs")
    children = [marked(f"{root}/old/1")]
    looks = []

    def alive():
        looks.append(1)
        if len(looks) == 2:
            children.append(marked(f"{root}/new/1"))
        return set()

    await sweep(Mark(root, "here"), alive)
    assert children[0].wait() == -9
    assert children[1].poll() is None
    children[1].kill()
    children[1].wait()


async def test_a_sweep_asks_what_lives_after_it_has_looked(house):
    """A run that is on its way when the look is taken has its process in it, and is known by then."""
    folder = f"{house.root}/runs/new/1"
    child = marked(folder)
    await sweep(Mark(str(house.root / "runs"), "here"), lambda: {folder})
    assert child.poll() is None
    child.kill()
    child.wait()


async def test_a_sweep_leaves_the_experiment_of_the_same_name_in_another_database_alone(house):
    ours, theirs = (marked(f"{house.root}/runs/{uid}/1", uid) for uid in ("here", "there"))
    await sweep(Mark(str(house.root / "runs"), "here"), lambda: ())
    assert ours.wait() == -9
    assert theirs.poll() is None
    theirs.kill()
    theirs.wait()
