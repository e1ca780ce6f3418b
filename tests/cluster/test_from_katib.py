"""A running Katib 0.19 is taken over: definitions, objects and measurements as it leaves them, then our controller."""

import asyncio
import shutil
from contextlib import closing, suppress

import pytest
from sqlalchemy import text
from support.cluster.apiserver import ApiServer
from support.cluster.client import Refused
from support.cluster.controllers import Controller, eventually
from support.cluster.db_manager import DbManager
from support.cluster.experiments import Objects, last
from support.cluster.katib import (
    CREATED,
    LOG_TABLE,
    MAX_TRIALS,
    RUNNING,
    Katib,
    given,
    succeeded,
)
from support.cluster.katibs_programs import Programs
from support.cluster.kinds import install, install_katibs
from support.cluster.played import PlayedJobs, lasts
from support.cluster.played_kubelet import PlayedKubelet

from katib_py.observations.database import connect

NODE = "node-of-katib"
RULE = {"name": "acc", "value": "0.5", "comparison": "less", "startStep": 2}
MEDIAN = {
    "algorithmName": "medianstop",
    "algorithmSettings": [{"name": "min_trials_required", "value": "1"}, {"name": "start_step", "value": "2"}],
}
INSERT = "INSERT INTO observation_logs (trial_name, time, metric_name, value) VALUES (:trial, :time, :name, :value)"


def some(scene, letters, **more):
    return [given(f"{scene}-{letter}", f"0.0{number}", **more) for number, letter in enumerate(letters, 1)]


def midst(katib, collector="StdOut"):
    """One trial has succeeded, and two run."""
    experiment = katib.experiment(collector)
    a, *others = assignments = some(katib.namespace, "abc")
    katib.service(katib.suggestion(experiment, assignments))
    katib.trial(experiment, a, "Succeeded", ["0.4", "0.5"])
    for assignment in others:
        katib.job(katib.trial(experiment, assignment), NODE)


def of_files(katib):
    midst(katib, "File")


def early(katib):
    """Four trials of which rules of Katib's ended three: one lost its Job, one's completes, one's goes on."""
    experiment = katib.experiment(earlyStopping={"algorithmName": "medianstop"}, parallelTrialCount=4)
    ended, completing, going, rulesless = assignments = some(katib.namespace, "abcd", earlyStoppingRules=[RULE])
    katib.service(katib.suggestion(experiment, assignments))
    katib.trial(experiment, ended, "EarlyStopped", ["0.2", "0.1"], observed=False)
    katib.job(katib.trial(experiment, completing, "EarlyStopped", ["0.3"], observed=False), NODE)
    for assignment in (going, rulesless):
        katib.job(katib.trial(experiment, assignment), NODE)


def begun(katib):
    """One Trial has no Job yet, the Job of another has vanished, and two assignments are no Trials yet."""
    experiment = katib.experiment("Push")
    a, b, *_ = assignments = some(katib.namespace, "abcd")
    katib.suggestion(experiment, assignments)
    katib.trial(experiment, a, "Created")
    katib.trial(experiment, b, "Running")


def over(katib):
    """All its trials have ended, each in its way, and it can be resumed."""
    conditions = succeeded(*MAX_TRIALS)
    experiment = katib.experiment("Push", conditions, {"trials": 4}, resumePolicy="FromVolume")
    assignments = some(katib.namespace, "abcd")
    katib.suggestion(experiment, assignments, over=True)
    for assignment, state in zip(assignments, STATES, strict=True):
        katib.trial(experiment, assignment, state, ["0.4"] if state != "Failed" else (), state == "Succeeded")


STATES = ("Succeeded", "Failed", "MetricsUnavailable", "EarlyStopped")


def measured(katib):
    """Katib's trials have a log by which a new one is judged."""
    experiment = katib.experiment("Push", earlyStopping=MEDIAN, parallelTrialCount=1, maxTrialCount=3)
    assignments = some(katib.namespace, "ab")
    katib.suggestion(experiment, assignments)
    for assignment in assignments:
        katib.trial(experiment, assignment, "Succeeded", ["0.6", "0.7", "0.8"])


def leaving(katib):
    """It was deleted while Katib's controller was away, and its trials with it."""
    midst(katib, "Push")
    Objects(katib.client, katib.namespace).delete(katib.namespace)


def kept(katib):
    """It has ended, for good."""
    experiment = katib.experiment("Push", succeeded(*MAX_TRIALS), {"trials": 1}, maxTrialCount=1, parallelTrialCount=1)
    (a,) = assignments = some(katib.namespace, "a")
    katib.suggestion(experiment, assignments, over=True)
    katib.trial(experiment, a, "Succeeded", ["0.4"])


def old(katib):
    """It was stored before there were defaults."""
    experiment = katib.experiment("Push", (CREATED, RUNNING), {"trials": 1})
    (a,) = assignments = some(katib.namespace, "a")
    path = Objects(katib.client, katib.namespace).path("experiments", katib.namespace)
    distribution = {"op": "remove", "path": "/spec/parameters/0/feasibleSpace/distribution"}
    strategies = {"op": "remove", "path": "/spec/objective/metricStrategies"}
    conditions = {"op": "remove", "path": "/spec/trialTemplate/successCondition"}
    katib.client.patch(path, [distribution, strategies, conditions], "json")
    katib.suggestion(experiment, assignments)
    katib.trial(experiment, a, "Succeeded", ["0.4"])


SCENES = {
    scene.__name__.replace("_", "-"): scene
    for scene in (midst, of_files, early, begun, over, measured, leaving, kept, old)
}


class Taken:
    """The server of a Katib that was taken over; a scene's experiment and namespace have its name."""

    def __init__(self, server, database, manager):
        self.server, self.client, self.manager = server, server.client, manager
        self._database = database

    def rows(self, query):
        with closing(connect(self._database).connect()) as connection:
            return connection.execute(text(query)).all()

    async def acted(self, scene, look, **acts):
        """What `look` returns while the scene's programs run; `acts` are those of certain trials."""
        async with PlayedKubelet(self.server.kubeconfig, NODE) as node:
            programs = Programs(
                self.manager, node, {f"{scene}-{letter}": act for letter, act in acts.items()}, ("midst",)
            )
            async with PlayedJobs(self.server.kubeconfig, programs, scene) as jobs:
                looking = asyncio.ensure_future(asyncio.to_thread(look))
                failing = asyncio.ensure_future(jobs.problem())
                await asyncio.wait({looking, failing}, return_when=asyncio.FIRST_COMPLETED)
                failing.cancel()
                return await looking


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory, postgres_server):
    folder, database = tmp_path_factory.mktemp("taken-over"), postgres_server.database()
    with ApiServer(folder / "server") as server:
        server.start_controllers("garbage-collector-controller")
        install_katibs(server.client)
        leave(server, database)
        install(server.client)
        with (
            DbManager(database) as manager,
            Controller(server.kubeconfig, folder / "controller", "", ["--db-manager", manager.address]),
        ):
            yield Taken(server, database, manager)
    shutil.rmtree(folder / "server" / "etcd")


def leave(server, database):
    """All that Katib leaves behind."""
    rows = []
    for name, scene in SCENES.items():
        katib = Katib(server.client, server.namespace(name))
        scene(katib)
        rows += katib.rows
    engine = connect(database)
    with engine.begin() as connection:
        connection.execute(text(LOG_TABLE))
        for row in rows:
            connection.execute(text(INSERT), dict(zip(("trial", "time", "name", "value"), row, strict=True)))
    engine.dispose()


@pytest.fixture
def objects(taken_over, scene):
    return Objects(taken_over.client, scene)


def by_letter(objects):
    """The scene's Trials; a name that is none of Katib's is a letter of its own."""
    trials = {trial["metadata"]["name"].removeprefix(f"{objects.namespace}-"): trial for trial in objects.trials()}
    return {letter: (last(trial)[0], best(trial)) for letter, trial in sorted(trials.items())}


def best(trial):
    metrics = trial["status"].get("observation", {}).get("metrics")
    return metrics[0]["max"] if metrics else None


@pytest.mark.parametrize("scene", ["midst", "of-files"])
async def test_what_runs_goes_on_and_is_not_run_again(taken_over, scene, objects):
    ended = await taken_over.acted(scene, lambda: objects.ended(scene), b=["0.6"], c=["0.1", "0.7"])
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    trials = by_letter(objects)
    assert [trials.pop(letter) for letter in "abc"] == [("Succeeded", value) for value in ("0.5", "0.6", "0.7")]
    assert list(trials.values()) == [("Succeeded", "0.3")]
    assert ended["status"]["currentOptimalTrial"]["bestTrialName"] == f"{scene}-c"
    assert not any("attempt" in trial["status"] for trial in objects.trials())
    assert taken_over.manager.metrics(f"{scene}-a") == ["0.4", "0.5"]
    eventually(lambda: not objects.jobs())
    eventually(lambda: not objects.services())


@pytest.mark.parametrize("scene", ["early"])
async def test_what_katibs_rules_have_ended_is_early_stopped_with_what_it_measured(taken_over, scene, objects):
    """Its collectors still find Katib's service, which is needed until the last of them has ended."""
    assert objects.services()

    def look():
        eventually(lambda: by_letter(objects)["b"][0] == "EarlyStopped" and by_letter(objects)["a"][1])
        assert objects.services()
        return objects.ended(scene)

    async def stopped(programs, played, job, pod):
        await asyncio.sleep(2)
        await programs.report(job, ["0.4", "0.4"])
        await asyncio.to_thread(objects.stop_early, f"{scene}-c")
        await programs.end(played, job, pod)

    ended = await taken_over.acted(scene, look, b=[], c=stopped, d=["0.9"])
    assert by_letter(objects) == {
        "a": ("EarlyStopped", "0.2"),
        "b": ("EarlyStopped", "0.3"),
        "c": ("EarlyStopped", "0.4"),
        "d": ("Succeeded", "0.9"),
    }
    assert (ended["status"]["trialsEarlyStopped"], ended["status"]["trialsSucceeded"]) == (3, 1)
    eventually(lambda: not objects.services())


@pytest.mark.parametrize("scene", ["begun"])
async def test_what_was_assigned_and_not_run_yet_is_run(taken_over, scene, objects):
    ended = await taken_over.acted(scene, lambda: objects.ended(scene))
    assert by_letter(objects) == dict.fromkeys("abcd", ("Succeeded", "0.3"))
    assert ended["status"]["trialsSucceeded"] == 4
    numbers = [trial["metadata"].get("annotations", {}).get("katib.kubeflow.org/index") for trial in objects.trials()]
    assert numbers == [None, None, "2", "3"]


@pytest.mark.parametrize("scene", ["over"])
async def test_an_ended_experiment_with_a_larger_budget_goes_on_from_where_it_was(taken_over, scene, objects):
    objects.edit(scene, maxTrialCount=6)

    def look():
        eventually(lambda: objects.experiment(scene)["status"].get("trials") == 6)
        return objects.ended(scene)

    ended = await taken_over.acted(scene, look)
    status = ended["status"]
    counts = ("trials", "trialsSucceeded", "trialsFailed", "trialsEarlyStopped", "trialMetricsUnavailable")
    assert [status[count] for count in counts] == [6, 3, 1, 1, 1]
    assert "Restarting" in {condition["type"] for condition in status["conditions"]}
    trials = by_letter(objects)
    assert [trials[letter][0] for letter in "abcd"] == list(STATES)
    suggestion = objects.client.get(objects.path("suggestions", scene))
    assert (suggestion["status"]["suggestionCount"], suggestion["status"]["conditions"][-1]["type"]) == (6, "Succeeded")


@pytest.mark.parametrize("scene", ["measured"])
async def test_a_new_trial_is_judged_by_what_katibs_have_measured(taken_over, scene, objects):
    ended = await taken_over.acted(scene, lambda: objects.ended(scene), default=["0.1", "0.1", "0.1", lasts(600)])
    assert ended["status"]["trialsEarlyStopped"] == 1


@pytest.mark.parametrize("scene", ["leaving"])
def test_a_deleted_experiment_goes_with_its_trials_and_measurements(taken_over, scene, objects):
    eventually(lambda: not objects.trials())
    eventually(lambda: gone(objects, scene))
    assert of_nobody(taken_over, scene) == 0  # they are swept with the trials whose they are


@pytest.mark.parametrize("scene", ["kept"])
def test_an_ended_experiment_stays_as_it_is_until_it_is_deleted(taken_over, scene, objects):
    before = objects.experiment(scene)
    assert taken_over.manager.metrics(f"{scene}-a") == ["0.4"]
    assert of_nobody(taken_over, scene) == 1
    assert objects.experiment(scene) == before
    objects.delete(scene)
    eventually(lambda: gone(objects, scene))
    eventually(lambda: not objects.trials())
    assert of_nobody(taken_over, scene) == 0


@pytest.mark.parametrize("scene", ["old"])
async def test_an_experiment_without_todays_defaults_can_be_edited_and_deleted(taken_over, scene, objects):
    objects.edit(scene, maxTrialCount=5)
    await asyncio.sleep(2)  # it is looked at every second
    ended = await taken_over.acted(scene, lambda: objects.ended(scene))
    assert ended["status"]["trialsSucceeded"] == 5
    objects.delete(scene)
    eventually(lambda: gone(objects, scene))


def gone(objects, name):
    with suppress(Refused):
        objects.experiment(name)
        return False
    return True


def of_nobody(taken_over, scene):
    """How many rows of the scene's trials are known by name alone."""
    where = f"trial_name LIKE '{scene}-%' AND trial_uid LIKE 'name/%'"
    return taken_over.rows(f"SELECT count(*) FROM observation_logs WHERE {where}")[0][0]
