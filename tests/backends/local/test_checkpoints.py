"""What a training can go on from: its trial's folder, and what was copied into it from the trial it continues."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from katib_py.backends.local.checkpoints import checkpoint_of
from katib_py.backends.local.folder import RunFolder
from katib_py.controller.ports import RunPhase

SAVE = 'echo "$KATIB_TRIAL_NAME" >> "$KATIB_CHECKPOINT_DIR/steps"'


def content(house, name="demo-x"):
    return (house.root / f"runs/team-a/demo/{name}/checkpoint/steps").read_text()


async def test_a_trial_goes_on_from_a_copy_of_its_parents_checkpoint(house, engine):
    await engine.run(house.shell(SAVE), name="demo-a")
    report = await engine.run(
        house.shell(f'{SAVE}; cat "$KATIB_PARENT_CHECKPOINT_DIR/steps"'), name="b", parent="demo-a"
    )
    assert house.status(report)["conditions"][0]["type"] != "Failed"
    assert content(house, "b") == "demo-a\nb\n"
    assert content(house, "demo-a") == "demo-a\n"
    assert Path(house.folder("b").output).read_text() == "demo-a\n"


async def test_the_attempts_of_a_trial_share_a_checkpoint_and_it_is_copied_once(house, engine):
    await engine.run(house.shell(SAVE), name="demo-a")
    for attempt in (1, 2):
        await engine.run(house.shell(SAVE), name="b", parent="demo-a", attempt=attempt)
        engine.runner.forget("b", retain=True)
    assert content(house, "b") == "demo-a\nb\nb\n"


async def test_a_trial_without_parent_begins_with_an_empty_folder(house, engine):
    script = 'ls -A "$KATIB_CHECKPOINT_DIR"; echo parent=${KATIB_PARENT_CHECKPOINT_DIR-none}'
    await engine.run(house.shell(script))
    assert Path(house.folder().output).read_text() == "parent=none\n"


async def test_katibs_path_of_checkpoints_leads_to_the_folder(house):
    settings = [{"name": "suggestion_trial_dir", "value": "/var/log/katib/checkpoints/"}]
    given = house.experiment(algorithm={"algorithmName": "pbt", "algorithmSettings": settings})
    command = ["sh", "-c", 'echo one >> "$0/steps"; echo two >> /var/log/katib/checkpoints/steps']
    await house.engine(given).run(house.job([*command, "/var/log/katib/checkpoints/"]))
    assert content(house) == "one\ntwo\n"


@pytest.mark.parametrize("parent", ["gone", "..", "../..", "/etc", "a/b"])
async def test_a_parent_that_is_not_there_leaves_the_folder_empty(house, engine, parent):
    await engine.run(house.shell(SAVE), parent=parent)
    assert content(house) == "demo-x\n"


async def test_what_a_forgotten_trial_of_the_same_name_left_is_not_taken_for_its_checkpoint(house, engine):
    await engine.run(house.shell(SAVE))
    other = house.engine()
    other.runner.start(house.order(house.shell(SAVE), fresh=True))
    await other.phase(RunPhase.LOST)
    await other.run(house.shell(SAVE), attempt=2)
    assert content(house) == "demo-x\n"


COPY = """
import sys
from katib_py.backends.local.checkpoints import Checkpoint
print("begins", flush=True)
Checkpoint(sys.argv[1], sys.argv[2]).make()
"""


def test_a_copy_that_is_killed_at_any_moment_is_made_anew_as_a_whole(tmp_path):
    parent = tmp_path / "parent" / "checkpoint"
    parent.mkdir(parents=True)
    for number in range(300):
        (parent / f"part-{number}").write_bytes(random.Random(number).randbytes(100_000))
    child = checkpoint_of(RunFolder(f"{tmp_path}/child/1"), "parent")
    os.makedirs(os.path.dirname(child.path))
    killed = 0
    for turn in range(12):
        process = subprocess.Popen([sys.executable, "-c", COPY, child.path, child.parent], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.01 * turn)
        process.send_signal(signal.SIGKILL)
        killed += process.wait() != 0
        process.stdout.close()
        if child.ready:
            break
    child.make()
    assert killed
    assert [path.name for path in Path(child.path).parent.iterdir()] == ["checkpoint"]
    assert all((Path(child.path) / path.name).read_bytes() == path.read_bytes() for path in parent.iterdir())
