"""What katib-py knows of the kinds of object that a trial may run: a literal table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

Path = tuple[str, ...]
EVERY: Final = "*"  # a step of a path: every item of the list, or every value of the mapping, that is there


@dataclass(frozen=True, slots=True)
class Place:
    """Where a kind keeps a pod template; `labels` and `containers` are below `path`.

    `labels` is () where a kind has none for its pods but its own. `containers` leads to a list of containers, or to one
    container that the kind itself names `name`; `prefix` is what the kind puts before the names that the user gives.
    """

    role: str
    path: Path
    labels: Path = ("metadata", "labels")
    containers: Path = ("spec", "containers")
    name: str = ""
    prefix: str = ""


class Switch(NamedTuple):
    """A field of a run object, and the value that throws the switch."""

    path: Path
    value: str | bool = True


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind's pod templates, the primary replica's first, and what the defaults are for its runs.

    `hold` keeps its pods from being there. `end` ends them and leaves the object, but only where the field `end_needs`
    is true; where it is the same as `hold`, the run can go on later. `naming` is a label with the run's name that its
    controller gives to pods on which ours cannot be put: to those with one of the containers `added`, which it makes
    itself, where it makes any.
    """

    places: tuple[Place, ...]
    success: str = ""
    failure: str = ""
    primary_labels: tuple[tuple[str, str], ...] = ()
    hold: Switch | None = None
    end: Switch | None = None
    end_needs: Path = ()
    naming: str = ""
    added: tuple[str, ...] = ()


COMPLETE: Final = 'status.conditions.#(type=="Complete")#|#(status=="True")#'
SUCCEEDED: Final = 'status.conditions.#(type=="Succeeded")#|#(status=="True")#'
FAILED: Final = 'status.conditions.#(type=="Failed")#|#(status=="True")#'
NOT_SUCCEEDED: Final = 'status.conditions.#(type=="Succeeded")#|#(status=="False")#'
PHASE_SUCCEEDED: Final = 'status.[@this].#(phase=="Succeeded")#'
PHASE_FAILED: Final = 'status.[@this].#(phase=="Failed")#'

MASTER: Final = (("training.kubeflow.org/job-role", "master"),)
TRAINJOB_NODE: Final = (
    ("jobset.sigs.k8s.io/replicatedjob-name", "node"),
    ("batch.kubernetes.io/job-completion-index", "0"),
)

SUSPEND: Final = Switch(("spec", "suspend"))
RUN_POLICY_SUSPEND: Final = Switch(("spec", "runPolicy", "suspend"))

_TEMPLATE: Final = (Place("", ("spec", "template")),)


def _training(field: str, *roles: str, primary: tuple[tuple[str, str], ...] = MASTER) -> Kind:
    """A kind of the training operator."""
    places = tuple(Place(role, ("spec", field, role, "template")) for role in roles)
    return Kind(places, SUCCEEDED, FAILED, primary, RUN_POLICY_SUSPEND, RUN_POLICY_SUSPEND)


def _tekton(path: Path, labels: Path = ("metadata", "labels")) -> tuple[Place, ...]:
    return (Place("Step", path, labels, ("steps",), prefix="step-"),)


# kind → its pod templates. The rows down to TrainJob have Katib's defaults; those below it are katib-py's own.
KINDS: Final[Mapping[str, Kind]] = {
    "Job": Kind(_TEMPLATE, COMPLETE, FAILED, hold=SUSPEND, end=SUSPEND),
    "PyTorchJob": _training("pytorchReplicaSpecs", "Master", "Worker"),
    "TFJob": _training("tfReplicaSpecs", "Chief", "Master", "Worker", "PS", "Evaluator"),
    "XGBoostJob": _training("xgbReplicaSpecs", "Master", "Worker"),
    "MPIJob": _training("mpiReplicaSpecs", "Launcher", "Worker"),
    "TrainJob": Kind(
        (Place("Trainer", ("spec",), labels=("labels",), containers=("trainer",), name="node"),),
        COMPLETE,
        FAILED,
        TRAINJOB_NODE,
        SUSPEND,
        SUSPEND,
        naming="jobset.sigs.k8s.io/jobset-name",
    ),
    "PaddleJob": _training("paddleReplicaSpecs", "Master", "Worker", primary=()),
    "JAXJob": _training("jaxReplicaSpecs", "Worker", primary=()),
    "Pod": Kind((Place("", ()),), PHASE_SUCCEEDED, PHASE_FAILED),
    "JobSet": Kind(
        (Place("Job", ("spec", "replicatedJobs", EVERY, "template", "spec", "template")),),
        'status.conditions.#(type=="Completed")#|#(status=="True")#',
        FAILED,
        hold=SUSPEND,
        end=SUSPEND,
    ),
    "RayJob": Kind(
        (
            Place("Submitter", ("spec", "submitterPodTemplate")),
            Place("Head", ("spec", "rayClusterSpec", "headGroupSpec", "template")),
            Place("Worker", ("spec", "rayClusterSpec", "workerGroupSpecs", EVERY, "template")),
        ),
        # While the job has succeeded but is not Complete, its submitter may still print.
        'status.[@this].#(jobDeploymentStatus=="Complete")#|#(jobStatus=="SUCCEEDED")#',
        'status.[@this].#(jobDeploymentStatus=="Failed")#',
        hold=SUSPEND,
        end=SUSPEND,
        end_needs=("spec", "shutdownAfterJobFinishes"),
        naming="batch.kubernetes.io/job-name",  # of the submitter, which is a Job of the same name
        added=("ray-job-submitter",),
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
        # Error and Failed, by the alphabet.
        'status.[@this].#(phase>"A")#|#(phase<"G")#',
        hold=SUSPEND,
        # A suspended one only begins no further steps.
        end=Switch(("spec", "shutdown"), "Terminate"),
        naming="workflows.argoproj.io/workflow",
    ),
    "PipelineRun": Kind(
        (
            *_tekton(("spec", "pipelineSpec", "tasks", EVERY, "taskSpec")),
            *_tekton(("spec", "pipelineSpec", "finally", EVERY, "taskSpec")),
        ),
        SUCCEEDED,
        NOT_SUCCEEDED,
        hold=Switch(("spec", "status"), "PipelineRunPending"),
        end=Switch(("spec", "status"), "Cancelled"),
    ),
    "TaskRun": Kind(
        # Its pod has the TaskRun's own labels, and its taskSpec may have none.
        _tekton(("spec", "taskSpec"), labels=()),
        SUCCEEDED,
        NOT_SUCCEEDED,
        end=Switch(("spec", "status"), "TaskRunCancelled"),
    ),
    "CronJob": Kind((Place("", ("spec", "jobTemplate", "spec", "template")),)),
    "Deployment": Kind(_TEMPLATE),
    "StatefulSet": Kind(_TEMPLATE),
    "DaemonSet": Kind(_TEMPLATE),
    "ReplicaSet": Kind(_TEMPLATE),
    "ReplicationController": Kind(_TEMPLATE),
}
