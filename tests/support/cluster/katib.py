"""Objects and rows as the controllers of Katib 0.19 leave them, made in one namespace of a server.

katib = Katib(client, "team-a"); trial = katib.trial(katib.experiment(), given("team-a-x", "0.1"))
"""

from support.cluster.experiments import GROUP, JOB

START, LATER, END = "2025-11-03T10:00:00Z", "2025-11-03T10:00:20Z", "2025-11-03T10:05:00Z"
NO_TIME = "0001-01-01T00:00:00Z"
FINALIZERS = {"experiments": "update-prometheus-metrics", "trials": "clean-metrics-in-db"}
SIDECAR = "metrics-logger-and-collector"
DONE = 'status.conditions.#(type=="{}")#|#(status=="True")#'
ENDS = {
    "Succeeded": ("TrialSucceeded. Job reason: CompletionsReached", "Trial has succeeded. Job message: Reached it"),
    "Failed": ("TrialFailed. Job reason: BackoffLimitExceeded", "Trial has failed. Job message: Too often"),
    "MetricsUnavailable": ("MetricsUnavailable", "Metrics are not available"),
}
MAX_TRIALS = ("ExperimentMaxTrialsReached", "Experiment has succeeded because max trial count has reached")
LOG_TABLE = (
    "CREATE TABLE IF NOT EXISTS observation_logs (trial_name VARCHAR(255) NOT NULL,"
    " id serial PRIMARY KEY, time TIMESTAMP(6), metric_name VARCHAR(255) NOT NULL, value TEXT NOT NULL)"
)


def condition(kind, reason, message, status="True", at=START):
    times = {"lastUpdateTime": at, "lastTransitionTime": at}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


CREATED = condition("Created", "ExperimentCreated", "Experiment is created")
RUNNING = condition("Running", "ExperimentRunning", "Experiment is running", at=LATER)


def succeeded(reason, message):
    """The conditions of an experiment that has succeeded."""
    return [CREATED, {**RUNNING, "status": "False"}, condition("Succeeded", reason, message, at=END)]


def given(name, value, **more):
    """An assignment of a Suggestion."""
    return {"name": name, "parameterAssignments": [{"name": "lr", "value": value}], **more}


class Katib:
    """What its controllers would have made by now of an experiment with the namespace's name; `rows`: of its table."""

    def __init__(self, client, namespace):
        self.client, self.namespace = client, namespace
        self.rows = []

    def experiment(self, collector="StdOut", conditions=(CREATED, RUNNING), counts=None, **spec):
        """An Experiment, defaulted as Katib's webhook does, and with the status of its controller."""
        spec = {**SPEC, "metricsCollectorSpec": COLLECTORS[collector], **spec}
        status = {"startTime": START, "completionTime": None, "conditions": list(conditions), **(counts or {})}
        if conditions[-1]["type"] in {"Succeeded", "Failed"}:
            status["completionTime"] = END
        status.setdefault("currentOptimalTrial", {"observation": {}})
        return self._store("experiments", self.namespace, {"spec": spec, "status": status})

    def suggestion(self, experiment, assignments, requests=None, over=False, settings=()):
        """Its Suggestion; `over` as after the end of an experiment with FromVolume."""
        running = condition("Running", "SuggestionRunning", "Suggestion is running")
        ready = condition("DeploymentReady", "DeploymentReady", "Deployment is ready")
        conditions = [condition("Created", "SuggestionCreated", "Suggestion is created"), ready, running]
        if over:
            gone = {"status": "False", "reason": "Suggestion is succeeded"}
            message = "Suggestion is succeeded, suggestion volume is not deleted, can be restarted"
            end = condition("Succeeded", "Experiment is succeeded", message)
            conditions = [conditions[0], {**running, **gone}, {**ready, **gone}, end]
        status = {"startTime": START, "conditions": conditions}
        status |= {"suggestionCount": len(assignments), "suggestions": assignments} if assignments else {}
        status |= {"algorithmSettings": list(settings)} if settings else {}
        requests = len(assignments) if requests is None else requests
        spec = {"algorithm": experiment["spec"]["algorithm"], "requests": requests, "resumePolicy": "Never"}
        return self._store("suggestions", experiment["metadata"]["name"], {"spec": spec, "status": status}, experiment)

    def trial(self, experiment, assignment, state="Running", values=(), observed=True):
        """A Trial of an assignment in a state, `values` its rows of `acc`, and whether it was told of them."""
        name, parent = assignment["name"], experiment["spec"]
        template = parent["trialTemplate"]
        copied = ("primaryContainerName", "successCondition", "failureCondition")
        spec = {
            "objective": parent["objective"],
            "metricsCollector": parent["metricsCollectorSpec"],
            "parameterAssignments": assignment["parameterAssignments"],
            "runSpec": rendered(template["trialSpec"], self.namespace, assignment),
            **{key: template[key] for key in copied},
            **({"retainRun": True} if template.get("retain") else {}),
            **{key: assignment[key] for key in ("earlyStoppingRules",) if key in assignment},
        }
        status = {"startTime": START, "completionTime": None, "conditions": trial_conditions(state)}
        if state in ENDS:
            status["completionTime"] = END
        if values and observed:
            status["observation"] = {"metrics": [summary(values)]}
        self.rows += [(name, f"2025-11-03T10:01:{second:02}Z", "acc", value) for second, value in enumerate(values)]
        labels = {"katib.kubeflow.org/experiment": experiment["metadata"]["name"], **assignment.get("labels", {})}
        return self._store("trials", name, {"spec": spec, "status": status}, experiment, labels)

    def job(self, trial, node=""):
        """The Job that its controller has made of a Trial, and the pod with what Katib's webhook made of it."""
        run = trial["spec"]["runSpec"]
        metadata = {**run["metadata"], "ownerReferences": [owner(trial, "Trial")]}
        job = self.client.post(f"/apis/batch/v1/namespaces/{self.namespace}/jobs", {**run, "metadata": metadata})
        return job, self.pod(job, trial, node)

    def pod(self, job, trial, node=""):
        name, template = job["metadata"]["name"], job["spec"]["template"]
        labels = {"job-name": name, "batch.kubernetes.io/job-name": name, "katib.kubeflow.org/trial": name}
        labels |= trial["metadata"]["labels"]
        (main,) = template["spec"]["containers"]
        command = " ".join(main["command"])
        main = {
            **main,
            "command": ["sh", "-c"],
            "args": [f"{command} 1>/var/log/katib/metrics.log 2>&1 && echo completed > /var/log/katib/$$$$.pid"],
            "env": [{"name": "KATIB_TRIAL_NAME", "value": name}],
        }
        sidecar = {"name": SIDECAR, "image": "ghcr.io/kubeflow/katib/file-metrics-collector", "args": ["-t", name]}
        spec = {**template["spec"], "containers": [main, sidecar], "shareProcessNamespace": True}
        spec |= {"nodeName": node} if node else {}
        metadata = {"name": f"{name}-q7x2k", "labels": labels, "ownerReferences": [owner(job, "Job", "batch/v1")]}
        return self.client.post(f"/api/v1/namespaces/{self.namespace}/pods", {"metadata": metadata, "spec": spec})

    def service(self, suggestion):
        """The Deployment and the Service of the algorithm, by their name."""
        name = f"{suggestion['metadata']['name']}-{suggestion['spec']['algorithm']['algorithmName']}"
        metadata = {"name": name, "ownerReferences": [owner(suggestion, "Suggestion")]}
        selector = {"katib.kubeflow.org/deployment": name}
        container = {"name": "suggestion", "image": "ghcr.io/kubeflow/katib/suggestion-hyperopt"}
        template = {"metadata": {"labels": selector}, "spec": {"containers": [container]}}
        deployment = {"metadata": metadata, "spec": {"selector": {"matchLabels": selector}, "template": template}}
        self.client.post(f"/apis/apps/v1/namespaces/{self.namespace}/deployments", deployment)
        service = {"metadata": metadata, "spec": {"selector": selector, "ports": [{"port": 6789}]}}
        self.client.post(f"/api/v1/namespaces/{self.namespace}/services", service)
        return name

    def _store(self, plural, name, document, parent=None, labels=None):
        finalizers = {"finalizers": [FINALIZERS[plural]]} if plural in FINALIZERS else {}
        owners = {"ownerReferences": [owner(parent, "Experiment")]} if parent else {}
        metadata = {"name": name, **finalizers, **owners, **({"labels": labels} if labels else {})}
        kind = plural[:-1].capitalize()
        body = {"apiVersion": "kubeflow.org/v1beta1", "kind": kind, "metadata": metadata, "spec": document["spec"]}
        path = f"{GROUP}/namespaces/{self.namespace}/{plural}"
        stored = self.client.post(path, body)
        return self.client.put(f"{path}/{name}/status", {**stored, "status": document["status"]})


def owner(document, kind, version="kubeflow.org/v1beta1"):
    metadata = document["metadata"]
    named = {"apiVersion": version, "kind": kind, "name": metadata["name"], "uid": metadata["uid"]}
    return {**named, "controller": True, "blockOwnerDeletion": True}


def rendered(template, namespace, assignment):
    (value,) = (item["value"] for item in assignment["parameterAssignments"])
    (main,) = template["spec"]["template"]["spec"]["containers"]
    command = [word.replace("${trialParameters.rate}", value) for word in main["command"]]
    pod = {**template["spec"]["template"]["spec"], "containers": [{**main, "command": command}]}
    metadata = {"name": assignment["name"], "namespace": namespace}
    return {**template, "metadata": metadata, "spec": {**template["spec"], "template": {"spec": pod}}}


def trial_conditions(state):
    created = condition("Created", "TrialCreated", "Trial is created")
    if state == "Created":
        return [created]
    running = condition("Running", "TrialRunning", "Trial is running")
    if state == "Running":
        return [created, running]
    if state == "EarlyStopped":
        return [created, running, condition("EarlyStopped", "TrialEarlyStopped", "Trial is early stopped", at=END)]
    return [created, {**running, "status": "False"}, condition(state, *ENDS[state], at=END)]


def summary(values):
    numbers = sorted(values, key=float)
    return {"name": "acc", "min": numbers[0], "max": numbers[-1], "latest": values[-1]}


SPEC = {
    "algorithm": {"algorithmName": "random"},
    "maxTrialCount": 4,
    "objective": {
        "metricStrategies": [{"name": "acc", "value": "max"}],
        "objectiveMetricName": "acc",
        "type": "maximize",
    },
    "parallelTrialCount": 2,
    "parameters": [
        {
            "feasibleSpace": {"distribution": "uniform", "max": "0.1", "min": "0.001"},
            "name": "lr",
            "parameterType": "double",
        }
    ],
    "resumePolicy": "Never",
    "trialTemplate": {
        "failureCondition": DONE.format("Failed"),
        "primaryContainerName": "main",
        "successCondition": DONE.format("Complete"),
        "trialParameters": [{"name": "rate", "reference": "lr"}],
        "trialSpec": JOB,
    },
}
FILE = {"fileSystemPath": {"format": "TEXT", "kind": "File", "path": "/var/log/katib/metrics.log"}}
COLLECTORS = {
    "StdOut": {"collector": {"kind": "StdOut"}},
    "File": {"collector": {"kind": "File"}, "source": FILE},
    "Push": {"collector": {"kind": "Push"}},
}
