"""An Experiment on a real API server, its programs played: from creation to its best trial."""

from support.cluster.controllers import eventually
from support.cluster.experiments import experiment, last
from support.cluster.playing import played
from support.cluster.pushing import Pushing


async def test_an_experiment_runs_from_creation_to_its_best_trial(api_server, namespace, objects, controller):
    objects.create(experiment(maxTrialCount=4))
    ended = await played(api_server, namespace, Pushing(), objects.ended)
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    status = ended["status"]
    assert (status["trials"], status["trialsSucceeded"]) == (4, 4)
    trials = {trial["metadata"]["name"]: trial for trial in objects.trials()}
    best = max(float(trial["status"]["observation"]["metrics"][0]["max"]) for trial in trials.values())
    optimal = status["currentOptimalTrial"]
    assert float(optimal["observation"]["metrics"][0]["max"]) == best
    assert optimal["parameterAssignments"] == trials[optimal["bestTrialName"]]["spec"]["parameterAssignments"]
    assert {last(trial) for trial in trials.values()} == {("Succeeded", "TrialSucceeded")}
    eventually(lambda: not objects.jobs())
    suggestion = api_server.client.get(objects.path("suggestions", "demo"))
    assert suggestion["status"]["suggestionCount"] == suggestion["spec"]["requests"] >= 4
