"""What an experiment's runs share: their verdict, their mark of ownership, and whether their output is followed."""

import pytest

from katib_py.backends.k8s.site import Site
from katib_py.core.experiment import Experiment

COMPLETE = {"status": {"conditions": [{"type": "Complete", "status": "True", "reason": "Done", "message": "well"}]}}
FAILED = {"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "Bad", "message": "ill"}]}}


def site(collector="StdOut", **spec):
    document = {
        "metadata": {"name": "demo", "namespace": "team"},
        "spec": {
            "objective": {"type": "minimize", "objectiveMetricName": "loss"},
            "metricsCollectorSpec": {"collector": {"kind": collector}},
            "trialTemplate": {
                "primaryContainerName": "main",
                "successCondition": 'status.conditions.#(type=="Complete")#|#(status=="True")#',
                "failureCondition": 'status.conditions.#(type=="Failed")#|#(status=="True")#',
            },
            **spec,
        },
    }
    return Site.of(Experiment.model_validate(document))


def test_a_run_has_its_verdict_by_the_conditions_of_the_template():
    assert site().verdict(COMPLETE) == (True, ("Done", "well"))
    assert site().verdict(FAILED) == (False, ("Bad", "ill"))
    assert site().verdict({"status": {}}) is None
    assert site().verdict({}) is None


def test_failure_outranks_success():
    both = {"status": {"conditions": [*COMPLETE["status"]["conditions"], *FAILED["status"]["conditions"]]}}
    assert site().verdict(both)[0] is False


def test_a_run_object_is_owned_and_labelled_and_else_as_it_was():
    document = {"kind": "Job", "metadata": {"name": "demo-x", "labels": {"team": "a"}}, "spec": {"any": ["thing"]}}
    made = site().object(document, "uid", 1)
    assert made["metadata"].pop("ownerReferences")[0]["uid"] == "uid"
    assert made["metadata"]["labels"] == {
        "team": "a",
        "katib.kubeflow.org/experiment": "demo",
        "katib.kubeflow.org/trial": "demo-x",
    }
    assert made["metadata"].keys() == {"name", "labels"}
    assert made["spec"] == document["spec"]


def test_the_object_of_a_later_attempt_says_of_which():
    document = {"kind": "Job", "metadata": {"name": "demo-x", "annotations": {"note": "mine"}}}
    annotations = site().object(document, "uid", 3)["metadata"]["annotations"]
    assert annotations == {"note": "mine", "katib.kubeflow.org/attempt": "3"}


STOPPING = {"earlyStopping": {"algorithmName": "medianstop"}}


@pytest.mark.parametrize(
    ("collector", "spec", "run", "follows"),
    [
        ("StdOut", {}, {}, False),
        ("StdOut", STOPPING, {}, True),
        ("Push", STOPPING, {}, False),
        ("StdOut", {}, {"podGC": {"strategy": "OnPodCompletion"}}, True),
        ("StdOut", {}, {"runPolicy": {"cleanPodPolicy": "All"}}, True),
        ("StdOut", {}, {"runPolicy": {"cleanPodPolicy": "Running"}}, False),
        ("StdOut", {}, ["what"], False),
    ],
)
def test_output_is_followed_where_it_is_decided_on_or_might_be_gone_at_the_end(collector, spec, run, follows):
    assert site(collector, **spec).follows({"spec": run}) is follows


@pytest.mark.parametrize(
    ("kind", "container", "label"),
    [
        ("Job", "main", ""),
        ("TrainJob", "main", "jobset.sigs.k8s.io/jobset-name"),
        ("RayJob", "ray-job-submitter", "batch.kubernetes.io/job-name"),
        ("RayJob", "main", ""),
        ("Mystery", "main", ""),
    ],
)
def test_pods_that_cannot_be_labelled_are_found_by_a_label_of_their_controller(kind, container, label):
    template = {"primaryContainerName": container}
    assert site(trialTemplate=template).naming({"kind": kind}) == label
