"""What an Experiment uses beyond Katib, on a real API server."""

from support.cluster.experiments import experiment, last
from support.cluster.playing import played
from support.cluster.pushing import Pushing, env_of

PARAMETERS = [
    {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.1", "max": "0.9"}},
    {"name": "mode", "parameterType": "categorical", "feasibleSpace": {"list": ["plain", "warm"]}},
    {"name": "share", "parameterType": "double", "feasibleSpace": {"min": "0.1", "max": "0.9"}},
]
REFERENCES = [{"name": f"{name}-value", "reference": name} for name in ("lr", "mode", "share")]
COMMAND = ["train", *(f"--{name}=${{trialParameters.{name}-value}}" for name in ("lr", "mode", "share"))]


def searched(name="demo", **spec):
    given = experiment(
        name,
        parameters=PARAMETERS,
        parameterConditions={"share": {"parent": "mode", "values": ["warm"], "default": "0"}},
        parameterConstraints=["share <= lr"],
        **spec,
    )
    template = given["spec"]["trialTemplate"]
    template["trialParameters"] = REFERENCES
    template["trialSpec"]["spec"]["template"]["spec"]["containers"][0]["command"] = COMMAND
    return given


def assigned(trial):
    return {item["name"]: item["value"] for item in trial["spec"]["parameterAssignments"]}


def options(trial):
    [container] = trial["spec"]["runSpec"]["spec"]["template"]["spec"]["containers"]
    return dict(word.removeprefix("--").split("=") for word in container["command"][1:])


async def test_trials_have_their_active_parameters_and_the_template_its_defaults(
    api_server, namespace, objects, controller
):
    objects.create(searched(maxTrialCount=8, initialAssignments=[{"lr": "0.50", "mode": "plain"}]))
    ended = await played(api_server, namespace, Pushing(), objects.ended)
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    trials = objects.trials()
    assert len(trials) == 8
    assert {"lr": "0.50", "mode": "plain"} in [assigned(trial) for trial in trials]
    for trial in trials:
        values = assigned(trial)
        assert ("share" in values) == (values["mode"] == "warm")
        assert options(trial) == {"share": "0", **values}
        assert float(values.get("share", 0)) <= float(values["lr"])


async def test_the_best_are_confirmed_with_seeds_and_another_experiment_starts_from_them(
    api_server, namespace, objects, controller
):
    seeds = []

    def value(job):
        seeds.append(env_of(job).get("KATIB_SEED"))
        return 0.1 * len(seeds)

    objects.create(searched(maxTrialCount=4, confirm={"top": 2, "repeats": 2}))
    ended = await played(api_server, namespace, Pushing(value), objects.ended)
    confirmed = ended["status"]["confirmed"]
    assert ended["status"]["trials"] == 4 + 2 * 2
    assert sorted(seed or "" for seed in seeds) == ["", "", "", "", "1", "1", "2", "2"]
    assert ended["status"]["currentOptimalTrial"]["bestTrialName"] == confirmed[0]["trialName"]
    labels = [trial["metadata"]["labels"].get("katib.kubeflow.org/confirms") for trial in objects.trials()]
    assert sorted(filter(None, labels)) == sorted(2 * [entry["trialName"] for entry in confirmed])

    objects.create(searched("next", maxTrialCount=2, algorithm={"algorithmName": "tpe"}, warmStart=["demo"]))
    ended = await played(api_server, namespace, Pushing(), lambda: objects.ended("next"))
    assert ended["status"]["trials"] == 2


async def test_a_start_from_nothing_fails_with_its_reason(objects, controller):
    objects.create(searched(algorithm={"algorithmName": "tpe"}, warmStart=["nobody"]))
    ended = objects.ended()
    assert last(ended) == ("Failed", "ExperimentFailed")
    assert "spec.warmStart[0]: names 'nobody'" in ended["status"]["conditions"][-1]["message"]
