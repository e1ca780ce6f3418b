"""The fork server: what it starts, what it says, and what becomes of runs when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import psutil
import pytest

from katib_py.backends.local import fork_server
from katib_py.backends.local.program import Program
from katib_py.backends.local.starter import ServerGoneError, Starter
from katib_py.controller.ports import RunPhase


@pytest.fixture
async def starter():
    starter = Starter()
    yield starter
    await starter.close()


def program(house, *command, **env):
    return Program(command, {**os.environ, **env}, str(house.root))


async def run(house, starter, given, name="demo-x"):
    """Run to the end; the folder."""
    folder, over = house.folder(name), asyncio.Event()
    folder.create()
    (await starter.start(folder, 1, given)).follow(over.set)
    async with asyncio.timeout(30):
        await over.wait()
    return folder


def output(folder):
    with open(folder.output, encoding="utf-8") as file:
        return file.read()


def servers():
    living = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if fork_server.__file__ in child.cmdline()]


@pytest.mark.parametrize(("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -KILL $$", 137)])
async def test_the_exit_status_is_counted_as_a_shell_counts_it(house, starter, script, status):
    folder = await run(house, starter, program(house, "/bin/sh", "-c", script))
    assert folder.exit_status() == status


@pytest.mark.parametrize(
    ("command", "status", "words"),
    [
        ("/no/such/program", 127, "/no/such/program: No such file or directory"),
        ("/tmp", 126, "/tmp: Permission denied"),
    ],
)
async def test_a_program_that_cannot_be_run_is_named_also_to_whoever_comes_later(
    house, starter, command, status, words
):
    with pytest.raises(OSError, match=words):
        await run(house, starter, program(house, command))
    assert house.folder().exit_status() == status
    assert output(house.folder()) == f"{words}\n"


async def test_a_working_directory_that_is_gone_is_named(house, starter):
    house.folder().create()
    with pytest.raises(OSError, match="/no/such/folder: No such file or directory"):
        await starter.start(house.folder(), 1, Program(["/bin/true"], {}, "/no/such/folder"))


async def test_text_without_a_first_line_for_the_kernel_is_a_script_of_sh(house, starter):
    path = house.root / "script"
    path.write_text("echo loss=$1\n")
    path.chmod(0o755)
    folder = await run(house, starter, program(house, str(path), "0.5"))
    assert output(folder) == "loss=0.5\n"


async def test_variables_whose_names_no_shell_would_keep_reach_the_program(house, starter):
    folder = await run(house, starter, program(house, "/usr/bin/env", **{"odd.name": "kept", "more-odd": "ü\n"}))
    assert {"odd.name=kept", "more-odd=ü"} <= set(output(folder).splitlines())


@pytest.mark.parametrize("given", [("a\0b", {}), ("echo", {"A": "\0"}), ("echo", {"A=B": "c"}), ("echo", {"": "c"})])
async def test_what_no_process_can_be_given_is_refused(house, starter, given):
    command, env = given
    with pytest.raises(ValueError, match=r"null byte|variable name"):
        await starter.start(house.folder(), 1, program(house, command, **env))


async def test_the_server_stays_after_its_controller_until_its_last_run_has_ended(house, starter):
    folder = house.folder()
    folder.create()
    process = await starter.start(folder, 1, program(house, "/bin/sh", "-c", "until [ -e go ]; do sleep 0.02; done"))
    (server,) = servers()
    await starter.close()
    assert psutil.pid_exists(process.pid)
    (house.root / "go").touch()
    await asyncio.to_thread(server.wait, 30)
    assert folder.exit_status() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
async def test_runs_outlive_a_server_that_was_killed_and_new_ones_are_started(house, engine):
    engine.runner.start(house.order(house.shell("echo loss=1; until [ -e go ]; do sleep 0.02; done; echo loss=2")))
    await engine.phase(RunPhase.RUNNING)
    (server,) = servers()
    server.send_signal(signal.SIGKILL)
    report = await engine.run(house.shell("echo loss=3"), name="demo-y")
    assert house.status(report)["phase"] == "Succeeded"
    (house.root / "go").touch()
    report = await engine.phase(RunPhase.ENDED)
    assert house.status(report)["phase"] == "Succeeded"
    assert [item.value for item in engine.measurements if item.value != "3"] == ["1", "2"]


@pytest.mark.parametrize("stopped", [True, False])
async def test_a_start_under_way_when_the_server_dies_is_made_once_more_or_lost_but_never_doubled(
    house, engine, stopped
):
    engine.runner.start(house.order(house.shell("echo loss=1"), name="demo-0"))
    await engine.phase(RunPhase.ENDED, "demo-0")
    (server,) = servers()
    if stopped:
        server.suspend()
    for number in range(1, 9):
        engine.runner.start(house.order(house.shell(f"echo loss=1; echo ran >>demo-{number}"), name=f"demo-{number}"))
    await asyncio.sleep(0.002)
    server.kill()
    for _ in range(8):
        report = await engine.until(lambda report: report.phase in {RunPhase.ENDED, RunPhase.LOST})
        ran = house.root / report.name
        if report.phase is RunPhase.ENDED:
            assert ran.read_text() == "ran\n"
        else:
            # Between the claim and the word of its program lies a moment of which nobody can tell afterwards.
            assert not stopped
            assert house.folder(report.name).newest_claim().program is None
            assert not ran.exists() or ran.read_text() == "ran\n"


async def test_a_server_that_dies_again_and_again_is_an_error_and_no_endless_loop(house, starter, monkeypatch):
    broken = house.root / "broken.py"
    broken.write_text("raise SystemExit\n")
    monkeypatch.setattr(fork_server, "__file__", str(broken))
    house.folder().create()
    for _ in range(3):
        with pytest.raises(ServerGoneError):
            await starter.start(house.folder(), 1, program(house, "/bin/true"))
    with pytest.raises(OSError, match="died 3 times in a row"):
        await starter.start(house.folder(), 1, program(house, "/bin/true"))
