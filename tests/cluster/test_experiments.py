"""An Experiment on a real API server, its programs played: from creation to its best trial."""

import asyncio

from support.cluster.controllers import eventually
from support.cluster.experiments import experiment, last
from support.cluster.played import PlayedJobs
from support.cluster.pushing import Pushing


async def played(api_server, namespace, act, look):
    """What `look` returns, the namespace's Jobs being played meanwhile."""
    async with PlayedJobs(api_server.kubeconfig, act=act, namespace=namespace) as jobs:
        looking = asyncio.ensure_future(asyncio.to_thread(look))
        failing = asyncio.ensure_future(jobs.problem())
        await asyncio.wait({looking, failing}, return_when=asyncio.FIRST_COMPLETED)
        failing.cancel()
        return await looking


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
