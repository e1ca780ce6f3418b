"""What serves an experiment's algorithms when it is not the shared service."""

import pytest
import yaml
from support.cluster.controllers import Controller, eventually
from support.cluster.experiments import condition, experiment, last
from support.cluster.played import completes, lasts
from support.cluster.playing import played
from support.cluster.pushing import Pushing
from support.third_party import EarlyStopping, Suggestion, serving

VALUES = ["0.011", "0.022", "0.033", "0.044"]


@pytest.fixture
def theirs():
    suggestion, stopping = Suggestion(VALUES), EarlyStopping("0.5", 2)
    with serving(Suggestion=suggestion, EarlyStopping=stopping) as address:
        suggestion.address = address
        yield suggestion


@pytest.fixture
def configured(api_server, crds, namespace, tmp_path, theirs):
    """A controller whose katib-config names the third party's services."""
    off = {"controller": {"metricsAddr": "0", "healthzAddr": "0", "webhookPort": 0}}
    runtime = {
        "suggestions": [
            {"algorithmName": "theirs", "address": theirs.address},
            {"algorithmName": "packed", "image": "registry.example/packed:1"},
        ],
        "earlyStoppings": [{"algorithmName": "their-stopping", "address": theirs.address}],
    }
    path = tmp_path / "katib-config.yaml"
    path.write_text(yaml.safe_dump({"init": off, "runtime": runtime}))
    with Controller(api_server.kubeconfig, tmp_path / "controller", namespace, ["--config", str(path)]) as process:
        yield process


def theirs_for(**spec):
    return experiment(algorithm={"algorithmName": "theirs"}, maxTrialCount=4, **spec)


async def test_a_third_partys_algorithm_gets_katibs_request(api_server, namespace, objects, configured, theirs):
    objects.create(theirs_for())
    ended = await played(api_server, namespace, Pushing(), objects.ended)
    assert last(ended) == ("Succeeded", "ExperimentMaxTrialsReached")
    used = [trial["spec"]["parameterAssignments"][0]["value"] for trial in objects.trials()]
    assert sorted(used) == VALUES
    newest = theirs.requests[-1]
    assert newest.total_request_number == 4
    assert len(newest.trials) == newest.total_request_number - newest.current_request_number
    assert not newest.HasField("history")


async def test_an_experiment_that_its_algorithm_refuses_has_failed(objects, configured):
    given = theirs_for()
    given["spec"]["algorithm"]["algorithmSettings"] = [{"name": "bad", "value": "1"}]
    objects.create(given)
    ended = objects.ended()
    assert last(ended) == ("Failed", "ExperimentFailed")
    assert "bad is no setting of mine" in ended["status"]["conditions"][-1]["message"]


def test_somebody_elses_objects_of_a_services_name_are_in_the_way_and_left_alone(api_server, objects, configured):
    pod = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": pod}
    path = objects.path("deployments", group="/apis/apps/v1")
    made = api_server.client.post(path, {"metadata": {"name": "demo-packed"}, "spec": spec})
    objects.create(experiment(algorithm={"algorithmName": "packed"}))
    waiting = eventually(lambda: condition(objects.experiment(), "Waiting"))
    assert waiting["reason"] == "SuggestionServiceNotReady"
    assert "a Deployment demo-packed that is not this experiment's is there already" in waiting["message"]
    assert api_server.client.get(f"{path}/demo-packed")["metadata"]["uid"] == made["metadata"]["uid"]


def test_what_an_ended_experiment_has_left_is_removed_by_the_next_controller(api_server, objects, request):
    """The controller before was killed after it had written the end."""
    made = objects.create(experiment(algorithm={"algorithmName": "packed"}, resumePolicy="Never"))
    now = "2026-01-01T00:00:00Z"
    end = {"type": "Succeeded", "status": "True", "reason": "ExperimentMaxTrialsReached", "message": "over"}
    end |= {"lastUpdateTime": now, "lastTransitionTime": now}
    status = {"conditions": [end], "startTime": now, "completionTime": now}
    api_server.client.patch(f"{objects.path('experiments')}/demo/status", {"status": status})
    owner = {
        "apiVersion": made["apiVersion"],
        "kind": "Experiment",
        "name": "demo",
        "uid": made["metadata"]["uid"],
        "controller": True,
    }
    metadata = {"name": "demo-packed", "ownerReferences": [owner]}
    front = {"metadata": metadata, "spec": {"ports": [{"port": 6789}], "selector": {"app": "packed"}}}
    api_server.client.post(objects.path("services", group="/api/v1"), front)
    request.getfixturevalue("configured")

    def gone():
        left = api_server.client.get(objects.path("services", group="/api/v1"))["items"]
        return "demo-packed" not in [item["metadata"]["name"] for item in left]

    eventually(gone)
    assert last(objects.experiment()) == ("Succeeded", "ExperimentMaxTrialsReached")


async def test_a_third_partys_rules_stop_a_trial_at_any_step_from_their_first(
    api_server, namespace, objects, configured
):
    """The first value is under the rule's, which holds from the second step on."""
    objects.create(theirs_for(earlyStopping={"algorithmName": "their-stopping"}, parallelTrialCount=1))

    seen = []

    def bad(job):
        name = job["metadata"]["name"]
        if name not in seen:
            seen.append(name)
        return name == seen[0]

    def values(job):
        return [0.1, 0.2, 0.3] if bad(job) else [0.9, 0.8, 0.7]

    async def then(played, job):
        await (lasts(600) if bad(job) else completes)(played, job)

    ended = await played(api_server, namespace, Pushing(values, then=then), objects.ended)
    status = ended["status"]
    assert (status["trialsEarlyStopped"], status["trialsSucceeded"]) == (1, 3)
    stopped = [trial for trial in objects.trials() if last(trial)[0] == "EarlyStopped"]
    assert all("acc" in trial["status"]["conditions"][-1]["message"] for trial in stopped)
    assert all(trial["status"]["observation"]["metrics"][0]["latest"] == "0.3" for trial in stopped)
    rule = {"name": "acc", "value": "0.5", "comparison": "less", "startStep": 2}
    assert stopped[0]["spec"]["earlyStoppingRules"] == [rule]
