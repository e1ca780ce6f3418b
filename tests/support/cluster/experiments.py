"""Experiments for the cluster tests, what plays their programs, and how to read what became of them."""

import copy

from support.cluster.controllers import eventually

GROUP = "/apis/kubeflow.org/v1beta1"
JOB = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "template": {
            "spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "main", "image": "none", "command": ["train", "--lr=${trialParameters.rate}"]}],
            }
        }
    },
}


def experiment(name="demo", collector="Push", run=JOB, **spec):
    """An Experiment that maximises `acc` over one parameter; `spec` replaces keys of its spec."""
    template = {
        "primaryContainerName": "main",
        "trialParameters": [{"name": "rate", "reference": "lr"}],
        "trialSpec": copy.deepcopy(run),
        **spec.pop("trialTemplate", {}),
    }
    parameter = {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.001", "max": "0.1"}}
    return {
        "apiVersion": "kubeflow.org/v1beta1",
        "kind": "Experiment",
        "metadata": {"name": name},
        "spec": {
            "maxTrialCount": 3,
            "parallelTrialCount": 2,
            "objective": {"type": "maximize", "objectiveMetricName": "acc"},
            "algorithm": {"algorithmName": "random"},
            "parameters": [parameter],
            "metricsCollectorSpec": {"collector": {"kind": collector}},
            "trialTemplate": template,
            **spec,
        },
    }


class Objects:
    """The objects of one namespace."""

    def __init__(self, client, namespace):
        self.client = client
        self.namespace = namespace

    def path(self, plural, name="", group=GROUP):
        return f"{group}/namespaces/{self.namespace}/{plural}{'/' + name if name else ''}"

    def create(self, document):
        return self.client.post(self.path("experiments"), document)

    def experiment(self, name="demo"):
        return self.client.get(self.path("experiments", name))

    def trials(self):
        return self.client.get(self.path("trials"))["items"]

    def jobs(self):
        return self.client.get(self.path("jobs", group="/apis/batch/v1"))["items"]

    def ended(self, name="demo", seconds=60):
        """The experiment, once it has ended."""
        eventually(lambda: self.experiment(name).get("status", {}).get("completionTime"), seconds)
        return self.experiment(name)


def last(document):
    """Type and reason of an object's last condition, which is what clients show."""
    conditions = document.get("status", {}).get("conditions") or [{}]
    return conditions[-1].get("type"), conditions[-1].get("reason")


def condition(document, kind):
    """The condition of this type, or None."""
    conditions = document.get("status", {}).get("conditions") or []
    return next((entry for entry in conditions if entry["type"] == kind), None)
