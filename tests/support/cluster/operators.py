"""The job controller, Kubeflow Trainer and the training operator, played: their pods' programs are run.

Each is an act of PlayedJobs or PlayedKind; `install` has the API server know the operators' kinds.
"""

from support.cluster.client import Refused
from support.cluster.kinds import CRDS, PERMISSIVE
from support.shell import wait_for

TRAINER = "/apis/trainer.kubeflow.org/v1alpha1"
TRAINING = "/apis/kubeflow.org/v1"
JOBSET = "jobset.sigs.k8s.io"
KINDS = (
    ("trainer.kubeflow.org", "v1alpha1", "TrainJob", "Namespaced"),
    ("trainer.kubeflow.org", "v1alpha1", "TrainingRuntime", "Namespaced"),
    ("trainer.kubeflow.org", "v1alpha1", "ClusterTrainingRuntime", "Cluster"),
    ("kubeflow.org", "v1", "PyTorchJob", "Namespaced"),
)


def install(client):
    """Any object of the operators' kinds goes."""
    for group, version, kind, scope in KINDS:
        plural = f"{kind.lower()}s"
        name = f"{plural}.{group}"
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": name},
            "spec": {
                "group": group,
                "scope": scope,
                "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
                "versions": [
                    {
                        "name": version,
                        "served": True,
                        "storage": True,
                        "schema": {"openAPIV3Schema": PERMISSIVE},
                        "subresources": {"status": {}},
                    }
                ],
            },
        }
        client.patch(f"{CRDS}/{name}", body, "apply", fieldManager="tests", force="true")
    for group, version, kind, _ in KINDS:
        wait_for(lambda path=f"/apis/{group}/{version}", kind=kind: _served(client, path, kind))


def _served(client, path, kind):
    try:
        return any(entry["kind"] == kind for entry in client.get(path)["resources"])
    except Refused:  # the group itself is not there yet
        return False


def runtime(name):
    """A ClusterTrainingRuntime as Kubeflow Trainer ships them: one node, PyTorch."""
    container = {"name": "node", "image": "registry.example/torch:2"}
    job = {"spec": {"template": {"spec": {"containers": [container]}}}}
    replicas = {
        "name": "node",
        "template": {"metadata": {"labels": {"trainer.kubeflow.org/trainjob-ancestor-step": "trainer"}}, **job},
    }
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "ClusterTrainingRuntime",
        "metadata": {"name": name, "labels": {"trainer.kubeflow.org/framework": "torch"}},
        "spec": {
            "mlPolicy": {"numNodes": 1, "torch": {"numProcPerNode": "auto"}},
            "template": {"spec": {"replicatedJobs": [replicas]}},
        },
    }


def runs_jobs(programs, node):
    """The act of a Job whose pod runs on the node."""

    async def act(played, job):
        container = job["spec"]["template"]["spec"]["containers"][0]["name"]
        pod = await played.pod(job, node.name)
        await played.start(job)
        code = await programs.play(played.client, pod, container)
        await (played.fail(job) if code else played.complete(job))

    return act


def runs_trainjobs(programs, node):
    """The act of a TrainJob: one pod, as its runtime says and its trainer changes."""

    async def act(played, job):
        name, spec = job["metadata"]["name"], job["spec"]
        found = await played.client.get(f"{TRAINER}/clustertrainingruntimes/{spec['runtimeRef']['name']}")
        template = found["spec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
        (container,) = template["spec"]["containers"]
        trainer = spec.get("trainer", {})
        changed = container | {key: trainer[key] for key in ("image", "command", "args", "env") if key in trainer}
        if "resourcesPerNode" in trainer:
            changed["resources"] = trainer["resourcesPerNode"]
        template = {"spec": {"restartPolicy": "Never", "containers": [changed]}}
        labels = {
            f"{JOBSET}/jobset-name": name,
            f"{JOBSET}/replicatedjob-name": "node",
            "batch.kubernetes.io/job-completion-index": "0",
        }
        pod = await played.pod(job, template, labels, node)
        code = await programs.play(played.client, pod, "node")
        await played.set_conditions(job, "Failed" if code else "Complete")

    return act


def runs_pytorchjobs(programs, node):
    """The act of a PyTorchJob: its master runs, its workers are there."""

    async def act(played, job):
        name, replicas = job["metadata"]["name"], job["spec"]["pytorchReplicaSpecs"]
        pods = {}
        for role in replicas:
            labels = {"training.kubeflow.org/job-name": name, "training.kubeflow.org/replica-type": role.lower()}
            if role == "Master":
                labels["training.kubeflow.org/job-role"] = "master"
            template = replicas[role]["template"]
            template["spec"].setdefault("restartPolicy", "Never")
            pods[role] = await played.pod(job, template, labels, node)
        await played.set_conditions(job, "Created", "Running")
        code = await programs.play(played.client, pods["Master"], "pytorch")
        await played.set_conditions(job, "Created", "Failed" if code else "Succeeded")

    return act
