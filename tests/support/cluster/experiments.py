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

    def services(self):
        """The Deployments and Services of algorithms."""
        groups = {"deployments": "/apis/apps/v1", "services": "/api/v1"}
        return [
            item
            for plural, group in groups.items()
            for item in self.client.get(self.path(plural, group=group))["items"]
        ]

    def edit(self, name, **spec):
        """Change keys of an experiment's spec."""
        return self.client.patch(self.path("experiments", name), {"spec": spec})

    def delete(self, name):
        self.client.delete(self.path("experiments", name))

    def stop_early(self, name):
        """As Katib's early stopping services say it of a trial."""
        path = f"{self.path('trials', name)}/status"
        entry = {
            "type": "EarlyStopped",
            "status": "True",
            "reason": "TrialEarlyStopped",
            "message": "Trial is early stopped",
        }
        self.client.patch(path, [{"op": "add", "path": "/status/conditions/-", "value": entry}], "json")

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
