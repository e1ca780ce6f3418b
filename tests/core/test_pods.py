"""The pod templates of a run object: marked, and the primary one picked."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from katib_py.core.experiment import TrialTemplate
from katib_py.core.kinds import KINDS
from katib_py.core.pods import mark, pods, primary_pod

LABELS = {"katib.kubeflow.org/trial": "demo-x"}
ENV = {"KATIB_TRIAL_NAME": "demo-x"}


def pod(*names, **labels):
    template = {"spec": {"containers": [{"name": name, "command": [f"run-{name}"]} for name in names]}}
    return {"metadata": {"labels": labels}, **template} if labels else template


def job(template, kind="Job"):
    return {"kind": kind, "spec": {"template": template}}


def replicas(field, **templates):
    return {"spec": {field: {role: {"replicas": 1, "template": template} for role, template in templates.items()}}}


RUNS = {
    "Job": job(pod("main")),
    "PyTorchJob": replicas("pytorchReplicaSpecs", Worker=pod("main"), Master=pod("main")),
    "TFJob": replicas("tfReplicaSpecs", PS=pod("main"), Worker=pod("main"), Chief=pod("main")),
    "XGBoostJob": replicas("xgbReplicaSpecs", Master=pod("main"), Worker=pod("main")),
    "MPIJob": replicas("mpiReplicaSpecs", Worker=pod("main"), Launcher=pod("main")),
    "PaddleJob": replicas("paddleReplicaSpecs", Worker=pod("main")),
    "JAXJob": replicas("jaxReplicaSpecs", Worker=pod("main")),
    "TrainJob": {"spec": {"trainer": {"command": ["run"]}}},
    "Pod": pod("main"),
    "JobSet": {"spec": {"replicatedJobs": [{"name": "a", "template": {"spec": {"template": pod("main")}}}]}},
    "RayJob": {
        "spec": {
            "submitterPodTemplate": pod("main"),
            "rayClusterSpec": {
                "headGroupSpec": {"template": pod("head")},
                "workerGroupSpecs": [{"template": pod("worker")}, {"template": pod("worker")}],
            },
        }
    },
    "RayCluster": {"spec": {"headGroupSpec": {"template": pod("main")}}},
    "Workflow": {"spec": {"templates": [{"container": {}}, {"script": {}}, {"steps": [[]]}]}},
    "PipelineRun": {"spec": {"pipelineSpec": {"tasks": [{"taskSpec": {"steps": [{"name": "train"}]}}]}}},
    "TaskRun": {"spec": {"taskSpec": {"steps": [{"name": "train"}]}}},
    "CronJob": {"spec": {"jobTemplate": {"spec": {"template": pod("main")}}}},
    "Deployment": job(pod("main")),
    "StatefulSet": job(pod("main")),
    "DaemonSet": job(pod("main")),
    "ReplicaSet": job(pod("main")),
    "ReplicationController": job(pod("main")),
    "SomethingNew": {"spec": {"deep": [{"down": pod("main")}]}},
}
COUNTS = {"PyTorchJob": 2, "TFJob": 3, "XGBoostJob": 2, "MPIJob": 2, "RayJob": 4, "Workflow": 2}


def run_of(kind):
    return {"apiVersion": "x/v1", **RUNS[kind], "kind": kind}


def test_every_kind_of_the_table_has_an_example_here():
    assert KINDS.keys() <= RUNS.keys()


@pytest.mark.parametrize("kind", RUNS)
def test_every_pod_of_a_run_is_marked_and_nothing_else_changed(kind):
    run = run_of(kind)
    before = copy.deepcopy(run)
    marked = mark(run, LABELS, ENV)
    assert run == before
    assert [item.has_labels(LABELS) for item in pods(marked)] == [kind != "TaskRun"] * COUNTS.get(kind, 1)
    for item in pods(marked):
        for _, container in item.containers():
            assert container["env"] == [{"name": "KATIB_TRIAL_NAME", "value": "demo-x"}]
    assert without_marks(marked) == without_marks(before)


def without_marks(value):
    """The object without labels and env, and without what is empty then."""
    if isinstance(value, list):
        return [without_marks(item) for item in value]
    if not isinstance(value, dict):
        return value
    cleaned = {key: without_marks(item) for key, item in value.items() if key not in {"labels", "env"}}
    return {key: item for key, item in cleaned.items() if not (key == "metadata" and item == {})}


def test_init_containers_are_marked_too():
    template = {"spec": {"containers": [], "initContainers": [{"name": "first"}]}}
    template["spec"]["containers"].append({"name": "main"})
    marked = mark(job(template), LABELS, ENV)
    assert marked["spec"]["template"]["spec"]["initContainers"][0]["env"]


def test_the_users_own_variables_stay_and_can_refer_to_ours():
    template = pod("main")
    own = [{"name": "OUT", "value": "/out/$(KATIB_TRIAL_NAME)"}, {"name": "KEPT", "value": "mine"}]
    template["spec"]["containers"][0]["env"] = own
    marked = mark(job(template), LABELS, {**ENV, "KEPT": "ours"})
    env = marked["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env == [{"name": "KATIB_TRIAL_NAME", "value": "demo-x"}, *own]


def primary(run, container="main", **labels):
    template = TrialTemplate.model_validate({"primaryContainerName": container, "primaryPodLabels": labels})
    found = primary_pod(run, template)
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("kind", "role"),
    [("PyTorchJob", "Master"), ("TFJob", "Chief"), ("MPIJob", "Launcher"), ("PaddleJob", "Worker"), ("Job", "")],
)
def test_the_primary_container_is_the_leading_roles(kind, role):
    assert primary(run_of(kind), job_role="master").place.role == role


def test_labels_of_a_template_outrank_its_role():
    run = replicas("tfReplicaSpecs", Chief=pod("main"), Worker=pod("main", part="worker")) | {"kind": "TFJob"}
    assert primary(run, part="worker").place.role == "Worker"


def test_argo_and_tekton_name_their_containers_themselves():
    assert primary(run_of("Workflow"), "main") is not None
    assert primary(run_of("TaskRun"), "step-train") is not None
    assert primary(run_of("TaskRun"), "train") is None


def test_where_no_container_has_the_name_there_is_no_primary_one():
    assert primary(run_of("Job"), "other") is None


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["spec", "template", "containers", "metadata", "labels", "env", "name"]), inner, max_size=4
        )
    ),
)


@given(st.sampled_from([*KINDS, "X"]), st.dictionaries(st.sampled_from(["spec", "metadata"]), json_values))
def test_any_object_can_be_marked(kind, run):
    mark({"kind": kind, **run}, LABELS, ENV)
    primary({"kind": kind, **run})
