"""A Pod object is read for what the runner needs: whose it is, how its containers are, what it waits for."""

import pytest
from support.cluster.played_pods import disrupted, ended, running, unschedulable, waiting

from katib_py.backends.k8s.pods import slim

SPEC = {"containers": [{"name": "main", "image": "x"}, {"name": "other", "image": "x"}]}
POD = {
    "metadata": {
        "name": "demo-x-1",
        "namespace": "team",
        "uid": "u1",
        "labels": {"katib.kubeflow.org/trial": "demo-x", "role": "master"},
        "creationTimestamp": "2026-01-01T00:00:10Z",
        "ownerReferences": [{"uid": "somebody"}, {"uid": "job", "controller": True}],
    },
    "spec": SPEC,
}


def pod(status=None, naming="katib.kubeflow.org/trial", **metadata):
    document = {**POD, "metadata": {**POD["metadata"], **metadata}}
    return slim({**document, "status": status(document) if status else {}}, naming)


def test_whose_it_is():
    found = pod()
    assert (found.namespace, found.trial, found.owner) == ("team", "demo-x", "job")
    assert pod(naming="role").trial == "master"


def test_a_container_is_known_before_it_has_a_status():
    assert pod().container("main") == (False, False, 0)
    assert pod(running).container("main").started
    assert pod(ended()).container("main").ended


@pytest.mark.parametrize(("container", "is_one"), [("main", True), ("elsewhere", False)])
def test_a_primary_pod_has_the_labels_and_the_container(container, is_one):
    assert pod().is_primary({"role": "master"}, container) is is_one
    assert not pod().is_primary({"role": "worker"}, container)


@pytest.mark.parametrize("reason", ["ContainerCreating", "PodInitializing"])
def test_what_is_on_its_way_is_no_trouble(reason):
    assert pod(waiting(reason)).trouble is None
    assert pod(running).trouble is None


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [
        (waiting("ImagePullBackOff", "no such image"), "ImagePullBackOff", "container main: no such image"),
        (waiting("ErrImagePull", "no such image"), "ImagePullBackOff", "container main: no such image"),
        (
            waiting("CreateContainerConfigError"),
            "CreateContainerConfigError",
            "container main: CreateContainerConfigError",
        ),
        (unschedulable("no node"), "Unschedulable", "no node"),
    ],
)
def test_what_a_pod_waits_for(status, reason, words):
    assert pod(status).trouble == (reason, words)


def test_a_pod_that_is_going_waits_for_nothing():
    going = pod(waiting("ImagePullBackOff"), deletionTimestamp="2026-01-01T00:01:00Z", deletionGracePeriodSeconds=30)
    assert going.trouble is None
    assert going.left == "2026-01-01T00:00:30Z"


def test_a_pod_that_the_cluster_took_away_is_disrupted():
    assert pod(disrupted()).disrupted
    assert not pod(ended(1)).disrupted
    assert pod(lambda _: {"phase": "Failed", "reason": "Evicted"}).disrupted


def test_the_collectors_last_words_are_kept():
    status = {"state": {"terminated": {"message": "summary"}}, "name": "metrics-logger-and-collector"}
    assert pod(lambda _: {"initContainerStatuses": [status]}).summary == "summary"
