"""The whole command line on PostgreSQL."""

import json
import signal
import sys

import pytest
from support.shell import wait_for

PUSH = f"""
echo begun
{sys.executable} -c "import katib_py; katib_py.report_metrics({{'loss': ${{trialParameters.x}}}})"
sleep 0.5
"""
COLLECTOR = {"collector": {"kind": "Push"}}


@pytest.fixture
def db(new_database):
    return "--db", new_database("postgresql")


def test_a_pushing_experiment_is_killed_stopped_continued_looked_at_and_deleted(shell, db):
    path = shell.write(command=PUSH, metricsCollectorSpec=COLLECTOR, maxTrialCount=2)
    process = shell.start("run", path, *db)
    wait_for(lambda: list((shell.folder / "home").glob("runs/*/*/*/1/output")))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    stopped = shell("stop", "demo", *db)
    assert "nothing of it runs any more" in stopped.stdout, stopped.stderr
    done = shell("run", path, *db)
    assert "Succeeded ExperimentMaxTrialsReached" in done.stdout, done.stderr
    trials = json.loads(shell("get", "trials", "demo", "-o", "json", *db).stdout)["items"]
    assert [len(trial["status"]["observation"]["metrics"]) for trial in trials] == [1, 1]
    name = trials[0]["metadata"]["name"]
    assert "begun" in shell("logs", name, *db).stdout
    assert name in shell("describe", "trial", name, *db).stdout
    assert shell("delete", "experiment", "demo", *db).returncode == 0
    assert shell("get", "experiment", "demo", *db).returncode == 2
