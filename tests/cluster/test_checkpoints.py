"""Checkpoints on a real API server: the claim, and what the pods of a population mount and copy."""

from support.cluster.experiments import experiment, last
from support.cluster.playing import played
from support.cluster.pushing import Pushing

GENERATION = "pbt.suggestion.katib.kubeflow.org/generation"
PARENT = "pbt.suggestion.katib.kubeflow.org/parent"


async def test_a_population_has_a_volume_and_its_children_copy_their_parents(
    api_server, namespace, objects, controller
):
    settings = {"suggestion_trial_dir": "/opt/checkpoints", "n_population": "5", "truncation_threshold": "0.4"}
    algorithm = {
        "algorithmName": "pbt",
        "algorithmSettings": [{"name": name, "value": value} for name, value in settings.items()],
    }
    objects.create(experiment(algorithm=algorithm, maxTrialCount=10, parallelTrialCount=5))
    jobs = {}

    class Watching(Pushing):
        async def __call__(self, play, job):
            jobs[job["metadata"]["name"]] = job
            await super().__call__(play, job)

    ended = await played(api_server, namespace, Watching(), objects.ended)
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    claim = api_server.client.get(objects.path("persistentvolumeclaims", "demo-pbt", group="/api/v1"))
    assert claim["metadata"]["ownerReferences"][0]["kind"] == "Experiment"
    trials = {trial["metadata"]["name"]: trial["spec"]["labels"] for trial in objects.trials()}
    assert sorted(labels[GENERATION] for labels in trials.values()) == ["0"] * 5 + ["1"] * 5
    for name, labels in trials.items():
        pod = jobs[name]["spec"]["template"]["spec"]
        [mount] = pod["containers"][0]["volumeMounts"]
        assert (mount["mountPath"], mount["subPath"]) == ("/opt/checkpoints", f"demo/{name}")
        assert "podAffinity" in pod["affinity"]  # katib-config asks for no volume of many nodes
        commands = [each["command"][-3:] for each in pod.get("initContainers", ())]
        assert commands == ([["demo", name, labels[PARENT]]] if labels[GENERATION] == "1" else [])
