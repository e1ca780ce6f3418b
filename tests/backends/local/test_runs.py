"""A run from its start to its end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys

import psutil
import pytest

from katib_py.controller.ports import RunPhase


async def test_a_program_that_exits_with_zero_has_succeeded(house, engine):
    report = await engine.run(house.shell("echo loss=0.1"))
    assert [report.phase for report in engine.reports if report.phase] == [RunPhase.RUNNING, RunPhase.ENDED]
    types = {condition["type"] for condition in house.status(report)["conditions"]}
    assert {"Complete", "Succeeded"} <= types
    assert [(item.metric, item.value) for item in engine.measurements] == [("loss", "0.1")]


async def test_a_failure_tells_its_exit_status_and_the_end_of_its_output(house, engine):
    report = await engine.run(house.shell("echo one; echo went wrong >&2; exit 3"))
    assert house.text(report) == "BackoffLimitExceeded: exit status 3\none\nwent wrong"
    assert not report.retry


async def test_a_program_that_dies_of_a_signal_says_which(house, engine):
    report = await engine.run(house.shell("kill -SEGV $$$$"))
    assert "SIGSEGV" in house.text(report)


@pytest.mark.parametrize(("retries", "again"), [(0, True), (1, True), (2, False)])
async def test_a_failed_run_is_retried_as_often_as_its_backoff_limit_says(house, engine, retries, again):
    report = await engine.run(house.shell("exit 1", job={"backoffLimit": 2}), retries=retries)
    assert report.retry is again


async def test_what_a_program_leaves_in_its_group_ends_with_it(house, engine):
    await engine.run(house.shell("sleep 600 & sleep 600 & echo loss=1"))
    assert await gone(house)


async def test_what_left_its_session_ends_with_the_engine_at_the_latest(house, engine):
    await engine.run(house.python(DAEMON))
    await engine.runner.close()
    assert await gone(house)


async def test_output_is_measured_while_the_program_runs(house, engine):
    script = "echo loss=0.5; until [ -e go ]; do sleep 0.05; done; echo loss=0.4"
    engine.runner.start(house.order(house.shell(script)))
    report = await engine.until(lambda report: bool(report.measurements))
    assert report.phase is None
    (house.root / "go").touch()
    await engine.phase(RunPhase.ENDED)
    assert [item.value for item in engine.measurements] == ["0.5", "0.4"]


async def test_output_is_the_same_however_it_is_chunked(house, engine):
    text = "".join(f"epoch {step} loss={step / 7} über\r\n" for step in range(200)) + "loss=42"
    pieces = random.Random(7).sample(range(1, len(text)), 60)
    script = f"""
import sys, time
data = {text.encode()!r}
cuts = {sorted(pieces)!r}
for begin, end in zip([0, *cuts], [*cuts, len(data)]):
    sys.stdout.buffer.write(data[begin:end])
    sys.stdout.flush()
    time.sleep(0.01)
"""
    await engine.run(house.python(script))
    assert [item.value for item in engine.measurements] == [*(str(step / 7) for step in range(200)), "42"]
    assert len({item.position for item in engine.measurements}) == 201


async def test_a_hundred_runs_go_on_at_once(house, engine):
    for number in range(100):
        engine.runner.start(house.order(house.shell(f"sleep 0.2; echo loss={number}"), f"demo-{number}"))
    for _ in range(100):
        await engine.until(lambda report: report.phase is RunPhase.ENDED)
    assert sorted(float(item.value) for item in engine.measurements) == list(range(100))
    assert await gone(house)


async def test_a_program_gets_the_usual_dispositions_of_signals(house, engine):
    script = "import signal; assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL; print('loss=1')"
    await engine.run(house.python(script))
    await engine.run(house.shell("yes | head -1 >/dev/null; exit 0"), name="demo-pipe")
    assert engine.reports[-1].document["status"]["phase"] == "Succeeded"


async def test_standard_input_is_empty_and_the_session_is_its_own(house, engine):
    script = "import os, sys; assert sys.stdin.read() == ''; assert os.getsid(0) == os.getpid()"
    report = await engine.run(house.python(script))
    assert house.status(report)["phase"] == "Succeeded"


async def test_a_command_is_never_taken_for_something_that_sh_does_itself(house, engine):
    report = await engine.run(house.job(["echo", "loss=0.25"]))
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in engine.measurements] == ["0.25"]


async def test_arguments_reach_the_program_as_they_are_written(house, engine):
    odd = ["a b", "", "$HOME", "'\"", "*", "-n", "ü\n", "`id`"]
    program = [sys.executable, "-c", "import sys; print(sys.argv[1:])"]
    await engine.run(house.job(program, args=odd))
    with open(house.folder().output, encoding="utf-8") as file:
        assert file.read() == f"{odd}\n"


@pytest.mark.parametrize("command", [["no-such-program"], ["./no-such-program"], None])
async def test_a_program_that_is_not_there_fails_the_trial_with_its_name(house, engine, command):
    report = await engine.run(house.job(command))
    assert "command" in house.text(report)
    assert not house.processes()


async def test_a_run_that_outlasts_its_deadline_has_failed(house, engine):
    report = await engine.run(house.shell("sleep 600", job={"activeDeadlineSeconds": 1}))
    assert house.text(report).startswith("DeadlineExceeded: the run was active for longer than 1 s")
    assert not report.stopped
    assert not report.retry
    assert await gone(house)


async def test_a_program_that_somebody_killed_has_failed_and_leaves_nothing(house, engine):
    engine.runner.start(house.order(house.shell("sleep 600 & sleep 600")))
    await engine.phase(RunPhase.RUNNING)
    os.kill(await claimed(house), signal.SIGKILL)
    report = await engine.phase(RunPhase.ENDED)
    assert "exit status 137: SIGKILL" in house.text(report)
    assert await gone(house)


async def test_forgetting_a_run_keeps_its_output(house, engine):
    await engine.run(house.shell("echo loss=3"))
    engine.runner.forget("demo-x", retain=False)
    with open(house.folder().output, encoding="utf-8") as file:
        assert file.read() == "loss=3\n"


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("loss=1")
"""


async def gone(house) -> bool:
    for _ in range(500):
        if not house.processes():
            return True
        await asyncio.sleep(0.02)
    return False


async def claimed(house) -> int:
    while (claim := house.folder().newest_claim()) is None or claim.program is None:
        await asyncio.sleep(0.01)
    assert psutil.pid_exists(claim.program.pid)
    return claim.program.pid
