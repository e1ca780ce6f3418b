"""Checkpoints in a cluster: a trial's own folder of the experiment's volume, begun as a copy of its parent's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from katib_py.core.experiment import Experiment, TrialTemplate
from katib_py.core.names import ENV_CHECKPOINT_DIR, LABEL_EXPERIMENT, SETTING_CHECKPOINT_PATH
from katib_py.core.pods import Pod, change_pod, primary_pod

VOLUME: Final = "suggestion-volume"  # Katib's name
COPIER: Final = "katib-checkpoint"
WHOLE: Final = "/katib-checkpoints"  # where the copier sees the volume

HOST: Final = "kubernetes.io/hostname"
REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"
ON_MANY_NODES: Final = frozenset({"ReadWriteMany"})

# The marker stands beside the folder and comes last: a copy without it is begun again, one with it is never made again.
COPY: Final = """set -e
mkdir -p "$0/$1"
cd "$0/$1"
if [ -e "$2.copied" ]; then exit 0; fi
rm -rf "$2"
mkdir -p "$2"
if [ -d "$3" ]; then cp -a "$3/." "$2/"; fi
: > "$2.copied"
"""

Json = dict[str, Any]


def checkpoint_path(experiment: Experiment) -> str:
    """Where the program looks for its checkpoint: Katib's setting suggestion_trial_dir; empty where not given."""
    algorithm = experiment.spec.algorithm
    given = {item.name: item.value for item in algorithm.algorithm_settings} if algorithm is not None else {}
    return given.get(SETTING_CHECKPOINT_PATH, "")


def on_one_node(claim: Mapping[str, Any]) -> bool:
    """Whether a volume of this claim can be written on one node at a time only."""
    return not ON_MANY_NODES & set(claim.get("accessModes") or ())


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The checkpoints of one experiment: on the claim's volume, a folder a trial, seen at `path`.

    `together`: the volume can be mounted on one node at a time, so all of the experiment's pods go to one.
    """

    experiment: str
    claim: str
    path: str
    together: bool = False

    def given_to(self, run: Mapping[str, Any], template: TrialTemplate, trial: str, parent: str) -> Json:
        """The run object whose primary container sees the trial's folder; `parent` is copied into it before."""
        found = primary_pod(run, template)
        if found is None or found[0].place.containers[0] != "spec":
            return dict(run)
        pod, primary = found
        return change_pod(run, pod, partial(self._mounted, pod=pod, primary=primary, names=(trial, parent)))

    def _mounted(
        self, template: Mapping[str, Any], pod: Pod, primary: Mapping[str, Any], names: tuple[str, str]
    ) -> Json:
        trial, parent = names
        spec = dict(template["spec"])
        volume = {"name": VOLUME, "persistentVolumeClaim": {"claimName": self.claim}}
        spec["volumes"] = [*(spec.get("volumes") or ()), volume]
        spec["containers"] = [
            self._with_folder(container, trial) if container is primary else container
            for container in spec["containers"]
        ]
        if parent:
            spec["initContainers"] = [self._copier(primary, trial, parent), *(spec.get("initContainers") or ())]
        if self.together:
            spec["affinity"] = self._beside_the_others(spec.get("affinity") or {})
        return {**template, "spec": spec}

    def _beside_the_others(self, affinity: Mapping[str, Any]) -> Json:
        others = affinity.get("podAffinity") or {}
        term = {"labelSelector": {"matchLabels": {LABEL_EXPERIMENT: self.experiment}}, "topologyKey": HOST}
        required = [*(others.get(REQUIRED) or ()), term]
        return {**affinity, "podAffinity": {**others, REQUIRED: required}}

    def _with_folder(self, container: Mapping[str, Any], trial: str) -> Json:
        mount = {"name": VOLUME, "mountPath": self.path, "subPath": f"{self.experiment}/{trial}"}
        env = {"name": ENV_CHECKPOINT_DIR, "value": self.path}
        return {
            **container,
            "volumeMounts": [*(container.get("volumeMounts") or ()), mount],
            "env": [env, *(container.get("env") or ())],
        }

    def _copier(self, primary: Mapping[str, Any], trial: str, parent: str) -> Json:
        """It has the training's own image and user, so that the image is there and the copy is the training's."""
        copier: Json = {
            "name": COPIER,
            "image": primary.get("image", ""),
            "command": ["sh", "-c", COPY, WHOLE, self.experiment, trial, parent],
            "volumeMounts": [{"name": VOLUME, "mountPath": WHOLE}],
        }
        shared = ("imagePullPolicy", "securityContext", "resources")
        return copier | {key: primary[key] for key in shared if key in primary}
