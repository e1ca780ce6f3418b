"""The kinds that trials run, as their controllers act on them: definitions, templates, pods, statuses and switches.

The definitions take any object; what the controllers write is what the real ones would, as far as it is looked at.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
RATE = "--lr=${trialParameters.rate}"


@dataclass(frozen=True)
class PlayedKind:
    """One kind: `pods` makes the pods of a run, the primary one first; `status` what is written when it is at a word.

    Words are Running, Succeeded, Failed and Suspended.
    """

    kind: str
    api_version: str
    plural: str
    spec: dict
    pods: Callable
    status: Callable
    hold: tuple = ("suspend", True)  # the field of spec that holds its pods back
    primary: str = "main"
    template: dict = field(default_factory=dict)  # keys of trialTemplate besides trialSpec
    subresource: bool = True
    kept: tuple | None = ("suspend", True)  # the field of spec by which it is ended and kept

    @property
    def run(self):
        """What an experiment's trialSpec is."""
        return {"apiVersion": self.api_version, "kind": self.kind, "spec": self.spec}

    def path(self, namespace, name="", subresource=""):
        rest = f"/{name}" if name else ""
        return f"/apis/{self.api_version}/namespaces/{namespace}/{self.plural}{rest}{subresource}"

    def definition(self):
        group, version = self.api_version.split("/")
        form = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": ANYTHING}}
        if self.subresource:
            form["subresources"] = {"status": {}}
        names = {
            "plural": self.plural,
            "kind": self.kind,
            "singular": self.kind.lower(),
            "listKind": f"{self.kind}List",
        }
        spec = {"group": group, "names": names, "scope": "Namespaced", "versions": [form]}
        return {"metadata": {"name": f"{self.plural}.{group}"}, "spec": spec}


# Much of what users ask of a cluster, and what none knows yet: all of it has to arrive as it is.
ASKED = {
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "nodeSelector": {"accelerator": "h100"},
    "priorityClassName": "",
    "terminationGracePeriodSeconds": 5,
    "notYetKnown": {
        "ratio": 0.50,
        "big": 9007199254740993,
        "list": [1, "1", True, {}],
        "empty": "",
        "text": "a\nb: {c}",
    },
}
GPUS = {"limits": {"nvidia.com/gpu": 2, "memory": "1.5Gi"}, "requests": {"cpu": "100m"}}


def container(name="main", **more):
    return {"name": name, "image": "none", "command": ["train", RATE], "resources": GPUS, **more}


def template(name="main"):
    return {"spec": {"containers": [container(name)], "restartPolicy": "Never", **ASKED}}


def pod(name, made, labels=(), owner=None):
    """A pod as a controller makes it of a template."""
    metadata = made.get("metadata", {})
    return {
        "metadata": {
            "name": name,
            "labels": {**metadata.get("labels", {}), **dict(labels)},
            "annotations": metadata.get("annotations", {}),
            "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": True}],
        },
        "spec": made["spec"],
    }


def owner(run):
    return {
        "apiVersion": run["apiVersion"],
        "kind": run["kind"],
        "name": run["metadata"]["name"],
        "uid": run["metadata"]["uid"],
    }


def conditions(*types, reason="", message="", **statuses):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {**dict.fromkeys(types, "True"), **statuses}
    return [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}
        for kind, status in known.items()
    ]


# Job


def job_pods(run):
    name = run["metadata"]["name"]
    labels = {"batch.kubernetes.io/job-name": name, "batch.kubernetes.io/controller-uid": run["metadata"]["uid"]}
    return [pod(f"{name}-{secrets.token_hex(3)}", run["spec"]["template"], labels, owner(run))]


def job_status(run, word, message):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    started = {} if run.get("status", {}).get("startTime") else {"startTime": now}
    match word:
        case "Succeeded":
            done = conditions("SuccessCriteriaMet", "Complete", message=message)
            return {**started, "succeeded": 1, "active": 0, "ready": 0, "completionTime": now, "conditions": done}
        case "Failed":
            failed = conditions("FailureTarget", "Failed", reason="BackoffLimitExceeded", message=message)
            return {**started, "failed": 1, "active": 0, "ready": 0, "conditions": failed}
        case "Suspended":
            return {"startTime": None, "active": 0, "ready": 0, "conditions": conditions("Suspended")}
    return {**started, "active": 1, "ready": 0, "conditions": []}


# The training operator


def training_pods(field, master):
    def pods(run):
        name, made = run["metadata"]["name"], []
        for role, replicas in run["spec"][field].items():
            labels = {
                "training.kubeflow.org/job-name": name,
                "training.kubeflow.org/operator-name": f"{run['kind'].lower()}-controller",
                "training.kubeflow.org/replica-type": role.lower(),
                "training.kubeflow.org/replica-index": "0",
            }
            if role == master:
                labels["training.kubeflow.org/job-role"] = "master"
            made.append(pod(f"{name}-{role.lower()}-0", replicas["template"], labels, owner(run)))
        return sorted(made, key=lambda one: "training.kubeflow.org/job-role" not in one["metadata"]["labels"])

    return pods


def training_status(run, word, message):
    known = {"Created": "True", "Running": "True" if word == "Running" else "False"}
    if word != "Running":
        known[word] = "True"
    return {"conditions": conditions(reason=f"{run['kind']}{word}", message=message, **known)}


def training(kind, plural, field, master, other="Worker"):
    replicas = {master: {"replicas": 1, "template": template()}, other: {"replicas": 1, "template": template()}}
    return PlayedKind(
        kind,
        "kubeflow.org/v1",
        plural,
        {"runPolicy": {"cleanPodPolicy": "None"}, field: replicas},
        training_pods(field, master),
        training_status,
        hold=("runPolicy", "suspend", True),
        kept=("runPolicy", "suspend", True),
    )


# Kubeflow Trainer


def trainjob_pods(run):
    """Its Job, made by a JobSet, is there; none of its labels are ours."""
    name, made = run["metadata"]["name"], []
    for index in (0, 1):
        labels = {
            "jobset.sigs.k8s.io/jobset-name": name,
            "jobset.sigs.k8s.io/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": str(index),
            "batch.kubernetes.io/job-name": f"{name}-node-0",
        }
        trainer = run["spec"]["trainer"]
        spec = {"containers": [{"name": "node", **{key: trainer[key] for key in ("image", "command", "env")}}]}
        made.append(
            pod(f"{name}-node-0-{index}-abcde", {"spec": {**spec, "restartPolicy": "Never"}}, labels, owner(run))
        )
    return made


def trainjob_status(run, word, message):
    match word:
        case "Succeeded":
            return {"conditions": conditions("Complete", reason="AllJobsCompleted", message=message)}
        case "Failed":
            return {"conditions": conditions("Failed", reason="FailedJobs", message=message)}
        case "Suspended":
            return {"conditions": conditions("Suspended", reason="Suspended", message=message)}
    return {"conditions": conditions(Suspended="False", reason="Resumed", message=message)}


# KubeRay


def rayjob_pods(run):
    """The submitter's is a Job's own, without labels of ours; the cluster's have those of their templates."""
    name, cluster = run["metadata"]["name"], run["spec"]["rayClusterSpec"]
    submitter = template("ray-job-submitter")
    head = {"ray.io/cluster": f"{name}-x7k2p", "ray.io/node-type": "head"}
    return [
        pod(f"{name}-q2w3e", submitter, {"batch.kubernetes.io/job-name": name}, owner(run)),
        pod(f"{name}-x7k2p-head", cluster["headGroupSpec"]["template"], head, owner(run)),
    ]


def rayjob_status(run, word, message):
    job, deployment = {
        "Running": ("RUNNING", "Running"),
        "Succeeded": ("SUCCEEDED", "Complete"),
        "Failed": ("FAILED", "Failed"),
        "Suspended": ("", "Suspended"),
    }[word]
    reason = {"reason": "AppFailed"} if word == "Failed" else {}
    return {"jobStatus": job, "jobDeploymentStatus": deployment, "message": message, **reason}


# Argo Workflows


def workflow_pods(run):
    name, made = run["metadata"]["name"], []
    for step in run["spec"]["templates"]:
        if "container" in step:
            containers = [{"name": "main", **step["container"]}, {"name": "wait", "image": "none"}]
            shape = {"metadata": step.get("metadata", {}), "spec": {"containers": containers, "restartPolicy": "Never"}}
            labels = {"workflows.argoproj.io/workflow": name, "workflows.argoproj.io/completed": "false"}
            made.append(pod(f"{name}-{step['name']}-1234567", shape, labels, owner(run)))
    return made


def workflow_status(run, word, message):
    return {"phase": "Running" if word == "Suspended" else word, "message": message}


# Tekton


def pipeline_pods(run):
    """Labels of the run come to its pods, and so do those of its tasks."""
    name, made = run["metadata"]["name"], []
    for task in run["spec"]["pipelineSpec"]["tasks"]:
        steps = [{**step, "name": f"step-{step['name']}"} for step in task["taskSpec"]["steps"]]
        shape = {
            "metadata": task["taskSpec"].get("metadata", {}),
            "spec": {"containers": steps, "restartPolicy": "Never"},
        }
        labels = {
            **run["metadata"].get("labels", {}),
            "tekton.dev/pipelineRun": name,
            "tekton.dev/pipelineTask": task["name"],
            "tekton.dev/taskRun": f"{name}-{task['name']}",
        }
        made.append(pod(f"{name}-{task['name']}-pod", shape, labels, owner(run)))
    return made


def pipeline_status(run, word, message):
    state = {"Succeeded": "True", "Failed": "False"}.get(word, "Unknown")
    return {"conditions": conditions(Succeeded=state, reason=word, message=message)}


# A kind that nobody knows


def training_of_ours_pods(run):
    name = run["metadata"]["name"]
    return [
        pod(f"{name}-{index}", worker["template"], {"example.com/rank": str(index)}, owner(run))
        for index, worker in enumerate(run["spec"]["workers"])
    ]


def training_of_ours_status(run, word, message):
    done = {"Succeeded": "Done", "Failed": "Broken"}.get(word, word)
    return {"conditions": conditions(done, reason=done, message=message)}


STEPS = [{"name": "train", "container": {"image": "none", "command": ["train", RATE]}}]
TASKS = [
    {"name": "train", "taskSpec": {"steps": [{"name": "main", "image": "none", "command": ["train", RATE]}]}},
    {"name": "report", "taskSpec": {"steps": [{"name": "report", "image": "none"}]}},
]

KINDS = {
    kind.kind: kind
    for kind in (
        PlayedKind("Job", "batch/v1", "jobs", {"template": template()}, job_pods, job_status),
        training("PyTorchJob", "pytorchjobs", "pytorchReplicaSpecs", "Master"),
        training("TFJob", "tfjobs", "tfReplicaSpecs", "Chief"),
        training("XGBoostJob", "xgboostjobs", "xgbReplicaSpecs", "Master"),
        training("MPIJob", "mpijobs", "mpiReplicaSpecs", "Launcher"),
        PlayedKind(
            "TrainJob",
            "trainer.kubeflow.org/v1alpha1",
            "trainjobs",
            {
                "runtimeRef": {"name": "torch-distributed"},
                "trainer": {"image": "none", "command": ["train", RATE], "numNodes": 2},
            },
            trainjob_pods,
            trainjob_status,
            primary="node",
        ),
        PlayedKind(
            "RayJob",
            "ray.io/v1",
            "rayjobs",
            {
                "entrypoint": f"python train.py {RATE}",
                "shutdownAfterJobFinishes": True,
                "rayClusterSpec": {"headGroupSpec": {"rayStartParams": {}, "template": template("head")}},
            },
            rayjob_pods,
            rayjob_status,
            primary="ray-job-submitter",
        ),
        PlayedKind(
            "Workflow",
            "argoproj.io/v1alpha1",
            "workflows",
            {"entrypoint": "train", "templates": STEPS},
            workflow_pods,
            workflow_status,
            subresource=False,
            kept=("shutdown", "Terminate"),
        ),
        PlayedKind(
            "PipelineRun",
            "tekton.dev/v1",
            "pipelineruns",
            {"pipelineSpec": {"tasks": TASKS}},
            pipeline_pods,
            pipeline_status,
            hold=("status", "PipelineRunPending"),
            primary="step-main",
            kept=("status", "Cancelled"),
        ),
        PlayedKind(
            "Training",
            "example.com/v1",
            "trainings",
            {"workers": [{"template": template()}, {"template": template()}]},
            training_of_ours_pods,
            training_of_ours_status,
            template={
                "successCondition": 'status.conditions.#(type=="Done")#|#(status=="True")#',
                "failureCondition": 'status.conditions.#(type=="Broken")#|#(status=="True")#',
                "primaryPodLabels": {"example.com/rank": "0"},
            },
            kept=None,
        ),
    )
}
