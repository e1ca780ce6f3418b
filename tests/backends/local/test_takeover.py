"""An engine that slept beyond its lease wakes and finds another one at its work."""

import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest
from support.shell import Shell, wait_for

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.lease import lease_holder
from katib_py.controller.ports import Key
from katib_py.core.trial import TrialState, trial_uid
from katib_py.observations.log import SqlLog

KEY = Key("default", "demo")
TRIALS, STEPS = 6, 4
SILENCE = 1.0
TRAIN = f"""
echo $KATIB_TRIAL_NAME >> starts
for step in $(seq {STEPS}); do echo loss=${{trialParameters.x}}; sleep 0.25; done
"""

# What `katib-py run` does, with a lease that is lost sooner.
ENGINE = f"""
import asyncio, sys, time
from contextlib import closing
from pathlib import Path
from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.backends.local.home import Home
from katib_py.backends.local.lease import Terms
from katib_py.backends.local.session import Session
from katib_py.cli.failure import guarded
from katib_py.cli.input import read_input

@guarded
def main():
    home = Home.find(sys.argv[2])
    with closing(Database(home.db_url)) as database:
        experiment = read_input(Path(sys.argv[1]), None).apply(Catalog(database), time.time())
        session = Session(home, database, terms=Terms(beat=0.3, silence={SILENCE}))
        asyncio.run(session.run(experiment, lambda board: None))

main()
"""


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


@pytest.fixture
def database(db_url):
    with closing(Database(db_url)) as database:
        yield database


@pytest.fixture
def start(shell, db_url):
    processes = []
    path = shell.write(command=TRAIN, maxTrialCount=TRIALS)

    def start():
        command = [sys.executable, "-c", ENGINE, str(path), db_url]
        process = subprocess.Popen(command, cwd=shell.folder, env=shell.env, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def starts(shell):
    path = Path(shell.folder / "starts")
    return path.read_text().split() if path.exists() else []


def halt(process, database):
    """Stop the process, though not while it keeps everybody else from writing."""
    with ThreadPoolExecutor(1) as other:
        while True:
            process.send_signal(signal.SIGSTOP)
            attempt = other.submit(database.run_now, lambda _: None)
            with suppress(TimeoutError):
                return attempt.result(1.0)
            process.send_signal(signal.SIGCONT)
            attempt.result()


@pytest.fixture
def halted(start, shell, database):
    """An engine that was halted with its trials running."""
    process = start()
    wait_for(lambda: len(starts(shell)) >= 2)
    halt(process, database)
    return process


@pytest.fixture
def other(start, halted, database):
    """The engine that drives instead."""
    wait_for(lambda: holder(database) is None)
    process = start()
    wait_for(lambda: holder(database) == process.pid)
    return process


def holder(database):
    found = database.look_now(lambda connection: lease_holder(connection, KEY, time.time(), SILENCE))
    return found and found.pid


def assert_nothing_was_done_twice(shell, database):
    assert Counter(starts(shell)) == dict.fromkeys(starts(shell), 1)
    catalog = Catalog(database)
    uid, trials = catalog.get(KEY).metadata.uid, catalog.trials(KEY)
    assert [(trial.state, trial.attempt) for trial in trials] == [(TrialState.SUCCEEDED, 1)] * TRIALS
    for trial in trials:
        assert len(SqlLog(database.engine).read(trial_uid(uid, trial.name))) == STEPS


@pytest.mark.every_database
def test_who_wakes_while_another_drives_learns_who_it_is_and_leaves_it_alone(shell, halted, other, database):
    known = len(starts(shell))
    wait_for(lambda: len(starts(shell)) > known)
    halted.send_signal(signal.SIGCONT)
    assert halted.wait(10) == 3
    assert f"taken over by another engine, process {other.pid} on " in halted.stderr.read()
    assert other.wait(30) == 0, other.stderr.read()
    assert_nothing_was_done_twice(shell, database)


def test_who_wakes_when_another_has_finished_writes_nothing_more(shell, halted, other, database):
    assert other.wait(30) == 0, other.stderr.read()
    before = Catalog(database).get(KEY).status
    halted.send_signal(signal.SIGCONT)
    assert halted.wait(10) == 3
    assert "which has let go of it since" in halted.stderr.read()
    assert Catalog(database).get(KEY).status == before
    assert_nothing_was_done_twice(shell, database)
