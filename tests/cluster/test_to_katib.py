"""Experiments of katib-py's are handed back to Katib 0.19: what its controllers make of them, and of its table."""

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

import pytest
from sqlalchemy import text
from support import katib_rules
from support.cluster.apiserver import ApiServer
from support.cluster.controllers import Controller, eventually
from support.cluster.db_manager import DbManager
from support.cluster.experiments import Objects, condition, experiment
from support.cluster.katibs_programs import Programs
from support.cluster.kinds import install, install_katibs
from support.cluster.played import PlayedJobs
from support.cluster.played_kubelet import PlayedKubelet
from support.cluster.played_pods import ended, running

from katib_py.observations.database import connect

NODE = "node-of-katib"
LONG = [letter * 9_000 for letter in "xyz"]  # ten of them are more than a Suggestion lists
TEXT = {"name": "text", "parameterType": "categorical", "feasibleSpace": {"list": LONG}}


def midst():
    return experiment("midst", "StdOut", maxTrialCount=12)


def lengthy():
    given = experiment("lengthy", maxTrialCount=20, parallelTrialCount=3)
    given["spec"]["parameters"].append(TEXT)
    given["spec"]["trialTemplate"]["trialParameters"].append({"name": "text", "reference": "text"})
    (container,) = given["spec"]["trialTemplate"]["trialSpec"]["spec"]["template"]["spec"]["containers"]
    container["command"].append("--text=${trialParameters.text}")
    return given


def resumable():
    return experiment("resumable", maxTrialCount=2, resumePolicy="LongRunning")


def asleep():
    return experiment("asleep", suspend=True)


def paused():
    return experiment("paused", trialTemplate={"retain": True})


def retried():
    return experiment("retried", parallelTrialCount=1)


SCENES = {scene.__name__: scene for scene in (midst, lengthy, resumable, asleep, paused, retried)}
FIRST = {"midst": 3, "lengthy": 8, "resumable": 2, "asleep": 0, "paused": 0, "retried": 0}


class Holding:
    """An act: the first runs of each experiment end at once, all others not before `go`."""

    def __init__(self, programs, database):
        self._programs, self._left, self._go = programs, dict(FIRST), asyncio.Event()
        self._loop, self._database = asyncio.get_running_loop(), database

    def go(self):
        self._loop.call_soon_threadsafe(self._go.set)

    async def __call__(self, played, job):
        namespace = job["metadata"]["namespace"]
        self._left[namespace] -= 1
        if self._left[namespace] < 0:
            await self._go.wait()
        await (self._fail_first if namespace == "retried" else self._programs)(played, job)

    async def _fail_first(self, played, job):
        """The first pod fails, and the Job's next succeeds."""
        first = await played.pod(job, NODE)
        await self._programs.measure(job, first, ["0.1"])
        await played.pod_status(first, running)
        await played.pod_status(first, ended(1))
        await asyncio.sleep(1)  # as long as its controller waits, at least
        second = await played.pod(job, NODE)
        await played.pod_status(second, running)
        while not await asyncio.to_thread(self._announced):  # what comes before belongs to the first
            await asyncio.sleep(0.1)
        await self._programs.measure(job, second, ["0.3"])
        await self._programs.end(played, job, second)

    def _announced(self):
        """Whether the log knows of the second attempt."""
        query = "SELECT 1 FROM observation_runs WHERE namespace = 'retried' AND attempt = '2'"
        return bool(rows(self._database, query))


def rows(database, query):
    engine = connect(database)
    with engine.connect() as connection:
        found = connection.execute(text(query)).all()
    engine.dispose()
    return found


@dataclass
class Scene:
    """The objects of one experiment as Katib's controllers find them."""

    experiment: dict
    suggestion: dict | None
    trials: list
    jobs: list


class HandedBack:
    """A scene for each experiment, the values in Katib's table, and what our clients had read before, by trial."""

    def __init__(self, folder, server, database):
        self._folder, self._server, self._database = folder, server, database
        self._objects = {name: Objects(server.client, server.namespace(name)) for name in SCENES}
        self.said = ""
        asyncio.run(self._play())
        self.table = self._exported()
        install_katibs(server.client)
        self.scenes = {name: self._scene(name) for name in SCENES}

    async def _play(self):
        for name, scene in SCENES.items():
            self._objects[name].create(scene())
        with DbManager(self._database) as manager:
            async with PlayedKubelet(self._server.kubeconfig, NODE) as node:
                act = Holding(Programs(manager, node, {}, ("midst",)), self._database)
                async with PlayedJobs(self._server.kubeconfig, act):
                    await asyncio.to_thread(self._drive, manager, act)
            names = [trial["metadata"]["name"] for each in self._objects.values() for trial in each.trials()]
            self.measured = {name: manager.metrics(name) for name in names}

    def _drive(self, manager, act):
        arguments = ["--db-manager", manager.address]
        with Controller(self._server.kubeconfig, self._folder / "first", "", arguments):
            eventually(lambda: self._counts("midst") == (3, 2))
            eventually(lambda: self._counts("lengthy") == (8, 3))
            self._objects["resumable"].ended("resumable")
            eventually(lambda: self._counts("paused") == (None, 2))
            eventually(lambda: self._counts("retried") == (None, 1))
            self._objects["paused"].edit("paused", suspend=True)
            eventually(lambda: all(job["spec"]["suspend"] for job in self._objects["paused"].jobs()))
        self.before = {name: self._scene(name) for name in ("midst", "lengthy")}
        with Controller(self._server.kubeconfig, self._folder / "second", "", [*arguments, "--hand-back"]) as second:
            eventually(
                lambda: "waiting for lengthy/lengthy, midst/midst, retried/retried" in second.said().splitlines()[-1]
            )
            act.go()
            eventually(lambda: "every experiment is handed back" in second.said())
            eventually(lambda: not any(each.jobs() for each in self._objects.values()))
            self.said = second.said()

    def _counts(self, name):
        """How many trials have succeeded, and run."""
        status = self._objects[name].experiment(name).get("status", {})
        return status.get("trialsSucceeded"), status.get("trialsRunning")

    def _exported(self):
        command = [sys.executable, "-m", "katib_py.cli", "db-manager", "--export-katib"]
        subprocess.run(command, env={**os.environ, "KATIB_DB_URL": self._database}, check=True)
        table = {}
        query = "SELECT trial_name, value FROM observation_logs WHERE metric_name = 'acc' ORDER BY id"
        for trial, value in rows(self._database, query):
            table.setdefault(trial, []).append(value)
        return table

    def _scene(self, name):
        objects = self._objects[name]
        suggestions = objects.client.get(objects.path("suggestions"))["items"]
        return Scene(
            objects.experiment(name), suggestions[0] if suggestions else None, objects.trials(), objects.jobs()
        )


@pytest.fixture(scope="module")
def handed_back(tmp_path_factory, postgres_server):
    folder = tmp_path_factory.mktemp("handed-back")
    with ApiServer(folder / "server") as server:
        server.start_controllers("garbage-collector-controller")
        install(server.client)
        yield HandedBack(folder, server, postgres_server.database())
    shutil.rmtree(folder / "server" / "etcd")


@pytest.fixture(params=["midst", "lengthy", "resumable"])
def scene(handed_back, request):
    return handed_back.scenes[request.param]


def test_what_ran_was_brought_to_its_end_and_nothing_new_was_begun(handed_back):
    ends = {name: [katib_rules.state(trial) for trial in scene.trials] for name, scene in handed_back.scenes.items()}
    assert ends == {
        "midst": ["Succeeded"] * 5,
        "lengthy": ["Succeeded"] * 11,
        "resumable": ["Succeeded"] * 2,
        "asleep": [],
        "paused": ["Pending"] * 2,
        "retried": ["Succeeded"],
    }


def test_katib_counts_the_trials_as_we_do(scene):
    counts = katib_rules.look(scene.experiment, scene.suggestion, scene.trials).counts
    status = scene.experiment["status"]
    assert counts == {"Succeeded": status["trialsSucceeded"]}
    assert status["trials"] == len(scene.trials)


def test_katib_runs_no_trial_again(scene):
    runs = {job["metadata"]["name"]: job for job in scene.jobs}
    done = {katib_rules.run_is(trial, runs.get(trial["metadata"]["name"])) for trial in scene.trials}
    assert done == {"nothing"}


def test_katib_runs_again_what_was_suspended(handed_back):
    """Its run objects would have stayed as they are for ever."""
    scene = handed_back.scenes["paused"]
    assert not scene.jobs
    assert {katib_rules.run_is(trial, None) for trial in scene.trials} == {"create"}
    assert len(katib_rules.goes_on(scene.experiment, scene.suggestion, scene.trials)) == 1


@pytest.mark.parametrize("name", ["midst", "lengthy"])
def test_katib_would_not_go_on_from_what_a_controller_leaves_that_was_only_stopped(handed_back, name):
    scene = handed_back.before[name]
    with pytest.raises(AssertionError, match=r"deletes|stands still"):
        katib_rules.goes_on(scene.experiment, scene.suggestion, scene.trials)


@pytest.mark.parametrize("name", ["midst", "lengthy"])
def test_katib_goes_on_to_the_end_of_the_budget(handed_back, name):
    scene = handed_back.scenes[name]
    created = katib_rules.goes_on(scene.experiment, scene.suggestion, scene.trials)
    assert len(created) == scene.experiment["spec"]["maxTrialCount"] - len(scene.trials)


def test_katib_resumes_what_has_ended(handed_back):
    scene = handed_back.scenes["resumable"]
    assert katib_rules.look(scene.experiment, scene.suggestion, scene.trials).ended == "ended before"
    scene.experiment["spec"]["maxTrialCount"] = 5
    assert len(katib_rules.goes_on(scene.experiment, scene.suggestion, scene.trials)) == 3


def test_every_trial_is_listed_with_its_parameters(scene):
    trials = {trial["metadata"]["name"]: trial["spec"]["parameterAssignments"] for trial in scene.trials}
    listed = {entry["name"]: entry["parameterAssignments"] for entry in scene.suggestion["status"]["suggestions"]}
    assert listed == trials


def test_katibs_webhook_lets_it_write_what_it_gets(handed_back):
    assert not any(katib_rules.refused(scene.experiment) for scene in handed_back.scenes.values())


def test_no_measurement_is_missing_in_katibs_table(handed_back):
    measured = {trial: values for trial, values in handed_back.measured.items() if values}
    assert len(measured) == 19
    assert handed_back.table == measured == {trial: ["0.3"] for trial in measured}


def test_a_run_that_is_retried_meanwhile_counts_with_its_last_attempt(handed_back):
    (trial,) = handed_back.scenes["retried"].trials
    assert (trial["status"]["attempt"], katib_rules.observed(trial)) == (2, 0.3)


def test_what_katib_does_not_do_is_said(handed_back):
    assert "experiment asleep/asleep is handed back; Katib ignores spec.suspend" in handed_back.said
    assert condition(handed_back.scenes["asleep"].experiment, "Created")
