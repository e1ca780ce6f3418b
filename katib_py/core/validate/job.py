"""The fields of a batch/v1 Job, so that a misspelt one is found before the first trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from katib_py.core.errors import Problem, show
from katib_py.core.parse import MAX_KNOWN, nearest
from katib_py.core.template import Text


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one part of a Job: whole numbers, parts of their own, lists of parts, and all others."""

    numbers: str = ""
    parts: Mapping[str, Fields] = field(default_factory=dict)
    lists: Mapping[str, Fields] = field(default_factory=dict)
    others: str = ""

    def names(self) -> list[str]:
        """Every field."""
        return [*self.numbers.split(), *self.parts, *self.lists, *self.others.split()]


# Kubernetes 1.34; what is newer is warned about and kept.
CONTAINER: Final = Fields(
    others="name image command args workingDir ports envFrom env resources resizePolicy restartPolicy"
    " restartPolicyRules volumeMounts volumeDevices livenessProbe readinessProbe startupProbe lifecycle"
    " terminationMessagePath terminationMessagePolicy imagePullPolicy securityContext stdin stdinOnce tty",
)
POD_SPEC: Final = Fields(
    numbers="terminationGracePeriodSeconds activeDeadlineSeconds priority",
    lists={"initContainers": CONTAINER, "containers": CONTAINER},
    others="volumes ephemeralContainers restartPolicy dnsPolicy nodeSelector serviceAccountName serviceAccount"
    " automountServiceAccountToken nodeName hostNetwork hostPID hostIPC shareProcessNamespace securityContext"
    " imagePullSecrets hostname subdomain affinity schedulerName tolerations hostAliases priorityClassName dnsConfig"
    " readinessGates runtimeClassName enableServiceLinks preemptionPolicy overhead topologySpreadConstraints"
    " setHostnameAsFQDN os hostUsers schedulingGates resourceClaims resources hostnameOverride workloadRef",
)
POD_TEMPLATE: Final = Fields(parts={"spec": POD_SPEC}, others="metadata")
JOB_SPEC: Final = Fields(
    numbers="parallelism completions activeDeadlineSeconds backoffLimit backoffLimitPerIndex maxFailedIndexes"
    " ttlSecondsAfterFinished",
    parts={"template": POD_TEMPLATE},
    others="podFailurePolicy successPolicy selector manualSelector completionMode suspend podReplacementPolicy"
    " managedBy",
)
JOB: Final = Fields(parts={"spec": JOB_SPEC}, others="apiVersion kind metadata status")


def job_problems(tree: Any, path: str, fields: Fields = JOB) -> Iterator[Problem]:
    """Unknown fields as warnings; as errors what the API server would refuse: wrong types, text for a whole number."""
    if not isinstance(tree, Mapping):
        yield Problem(path, f"is {_show(tree)}; must be a mapping")
        return
    names = fields.names()
    for key, value in tree.items():
        where = f"{path}.{key}"
        if isinstance(key, Text):
            continue
        if key not in names:
            meant = nearest(key, names) if len(tree) <= MAX_KNOWN else None
            yield Problem(where, "is not a field of a Job" + (f"; did you mean {meant}?" if meant else ""), "warning")
        elif value is None:
            continue
        elif key in fields.parts:
            yield from job_problems(value, where, fields.parts[key])
        elif key in fields.lists:
            yield from _list_problems(value, where, fields.lists[key])
        elif key in fields.numbers.split():
            yield from _number_problems(value, where)


def _list_problems(value: Any, path: str, fields: Fields) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield Problem(path, f"is {_show(value)}; must be a list")
        return
    for index, item in enumerate(value):
        yield from job_problems(item, f"{path}[{index}]", fields)


def _number_problems(value: Any, path: str) -> Iterator[Problem]:
    """An unquoted placeholder of a ConfigMap's text becomes a number; every other one stays text."""
    if isinstance(value, Text):
        if not value.plain or any(value.parts[::2]):
            yield Problem(
                path,
                f"is {_show(value)}, which becomes text where a whole number is needed: "
                "keep the template in a ConfigMap and write the placeholder without quotes",
            )
    elif not isinstance(value, int) or isinstance(value, bool):
        yield Problem(path, f"is {show(value)}; must be a whole number")


def _show(value: Any) -> str:
    return show(value.written() if isinstance(value, Text) else value)
