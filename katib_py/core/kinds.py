"""What katib-py knows of the kinds of object that a trial may run: a literal table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

Path = tuple[str, ...]
EVERY: Final = "*"  # a step of a path: every item of the list, or every value of the mapping, that is there


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind keeps a pod template; `labels` and `containers` are below `path`.

    `containers` leads to a list of containers, or to one container that the kind itself names `name`; `prefix` is what
    the kind puts before the names that the user gives.
    """

    role: str
    path: Path
    labels: Path = ("metadata", "labels")
    containers: Path = ("spec", "containers")
    name: str = ""
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's pod templates, the primary replica's first, and what the defaults are for its runs.

    `suspend` leads to the field that holds its pods back while it is true; () where the kind has none.
    """

    places: tuple[Place, ...]
    success: str = ""
    failure: str = ""
    primary_labels: tuple[tuple[str, str], ...] = ()
    suspend: Path = ()


COMPLETE: Final = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
SUCCEEDED: Final = 'status.conditions.#(type=="Succeeded")#|#(status=="True")#'
FAILED: Final = 'status.conditions.#(type=="Failed")#|#(status=="True")#'
PHASE_SUCCEEDED: Final = 'status.[@this].#(phase=="Succeeded")#'
PHASE_FAILED: Final = 'status.[@this].#(phase=="Failed")#'

MASTER: Final = (("training.kubeflow.org/job-role", "master"),)
TRAINJOB_NODE: Final = (
    ("jobset.sigs.k8s.io/replicatedjob-name", "node"),
    ("batch.kubernetes.io/job-completion-index", "0"),
)

SUSPEND: Final = ("spec", "suspend")
RUN_POLICY_SUSPEND: Final = ("spec", "runPolicy", "suspend")

_TEMPLATE: Final = (Place("", ("spec", "template")),)


def _replicas(field: str, *roles: str) -> tuple[Place, ...]:
    return tuple(Place(role, ("spec", field, role, "template")) for role in roles)


def _tekton(path: Path) -> tuple[Place, ...]:
    return (Place("Step", path, containers=("steps",), prefix="step-"),)


# kind → its pod templates. The rows down to TrainJob have Katib's defaults; those below it are katib-py's own.
KINDS: Final[Mapping[str, Kind]] = {
    "Job": Kind(_TEMPLATE, COMPLETE, FAILED, suspend=SUSPEND),
    "PyTorchJob": Kind(
        _replicas("pytorchReplicaSpecs", "Master", "Worker"), SUCCEEDED, FAILED, MASTER, RUN_POLICY_SUSPEND
    ),
    "TFJob": Kind(
        _replicas("tfReplicaSpecs", "Chief", "Master", "Worker", "PS", "Evaluator"),
        SUCCEEDED,
        FAILED,
        MASTER,
        RUN_POLICY_SUSPEND,
    ),
    "XGBoostJob": Kind(_replicas("xgbReplicaSpecs", "Master", "Worker"), SUCCEEDED, FAILED, MASTER, RUN_POLICY_SUSPEND),
    "MPIJob": Kind(_replicas("mpiReplicaSpecs", "Launcher", "Worker"), SUCCEEDED, FAILED, MASTER, RUN_POLICY_SUSPEND),
    "TrainJob": Kind(
        (Place("Trainer", ("spec",), labels=("labels",), containers=("trainer",), name="node"),),
        COMPLETE,
        FAILED,
        TRAINJOB_NODE,
        SUSPEND,
    ),
    "PaddleJob": Kind(
        _replicas("paddleReplicaSpecs", "Master", "Worker"), SUCCEEDED, FAILED, suspend=RUN_POLICY_SUSPEND
    ),
    "JAXJob": Kind(_replicas("jaxReplicaSpecs", "Worker"), SUCCEEDED, FAILED, suspend=RUN_POLICY_SUSPEND),
    "Pod": Kind((Place("", ()),), PHASE_SUCCEEDED, PHASE_FAILED),
    "JobSet": Kind(
        (Place("Job", ("spec", "replicatedJobs", EVERY, "template", "spec", "template")),),
        'status.conditions.#(type=="Completed")#|#(status=="True")#',
        FAILED,
        suspend=SUSPEND,
    ),
    "RayJob": Kind(
        (
            Place("Submitter", ("spec", "submitterPodTemplate")),
            Place("Head", ("spec", "rayClusterSpec", "headGroupSpec", "template")),
            Place("Worker", ("spec", "rayClusterSpec", "workerGroupSpecs", EVERY, "template")),
        ),
        'status.[@this].#(jobStatus=="SUCCEEDED")#',
        'status.[@this].#(jobDeploymentStatus=="Failed")#',
        suspend=SUSPEND,
    ),
    "RayCluster": Kind(
        (
            Place("Head", ("spec", "headGroupSpec", "template")),
            Place("Worker", ("spec", "workerGroupSpecs", EVERY, "template")),
        )
    ),
    "Workflow": Kind(
        (
            Place("Template", ("spec", "templates", EVERY), containers=("container",), name="main"),
            Place("Template", ("spec", "templates", EVERY), containers=("script",), name="main"),
            Place("Template", ("spec", "templates", EVERY), containers=("containerSet", "containers")),
        ),
        PHASE_SUCCEEDED,
        PHASE_FAILED,
        suspend=SUSPEND,
    ),
    "PipelineRun": Kind(_tekton(("spec", "pipelineSpec", "tasks", EVERY, "taskSpec"))),
    "TaskRun": Kind(_tekton(("spec", "taskSpec"))),
    "CronJob": Kind((Place("", ("spec", "jobTemplate", "spec", "template")),)),
    "Deployment": Kind(_TEMPLATE),
    "StatefulSet": Kind(_TEMPLATE),
    "DaemonSet": Kind(_TEMPLATE),
    "ReplicaSet": Kind(_TEMPLATE),
    "ReplicationController": Kind(_TEMPLATE),
}
