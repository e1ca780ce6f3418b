"""The pod templates inside a run object: found, marked, and the primary one picked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from katib_py.core.experiment import TrialTemplate
from katib_py.core.kinds import EVERY, KINDS, Path, Place

INIT_CONTAINERS: Final[Path] = ("spec", "initContainers")
ANYWHERE: Final = Place("", ())  # for kinds that the table does not know

Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod template in a run object: `path` leads to it, `template` is what stands there."""

    place: Place
    path: Steps
    template: Mapping[str, Any]

    def has_labels(self, wanted: Mapping[str, str]) -> bool:
        """Whether its pods will have all of these labels by the template alone."""
        labels = _get(self.template, self.place.labels) if self.place.labels else None
        return isinstance(labels, Mapping) and wanted.items() <= labels.items()

    def containers(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Its containers, each with the name that it has in the pod."""
        found = _get(self.template, self.place.containers)
        for container in found if isinstance(found, list) else [found]:
            if isinstance(container, Mapping):
                yield self.place.name or f"{self.place.prefix}{container.get('name', '')}", container


def pods(run: Mapping[str, Any]) -> list[Pod]:
    """Every pod template of the run object that has containers, in the order of the roles that lead a run."""
    kind = KINDS.get(str(run.get("kind")))
    if kind is None:
        return list(_anywhere(run, ()))
    found = (Pod(place, path, pod) for place in kind.places for path, pod in _expand(run, place.path, ()))
    return [pod for pod in found if any(True for _ in pod.containers())]


def primary_pod(run: Mapping[str, Any], template: TrialTemplate) -> tuple[Pod, Mapping[str, Any]] | None:
    """The pod template and container that a trial is about; None where no container has the primary one's name.

    Of several, one that carries primaryPodLabels itself is it, else the first role's.
    """
    found = [
        (pod, container)
        for pod in pods(run)
        for name, container in pod.containers()
        if name == template.primary_container_name
    ]
    labels = template.primary_pod_labels
    labelled = [entry for entry in found if labels and entry[0].has_labels(labels)]
    return next(iter(labelled or found), None)


def mark(run: Mapping[str, Any], labels: Mapping[str, str], env: Mapping[str, str]) -> dict[str, Any]:
    """The run object with the labels on every pod template and the variables in its containers; nothing else changes.

    A variable that a container sets itself is left to it. The given object is not changed.
    """
    marked = dict(run)
    for pod in pods(run):
        marked = _change(marked, pod.path, partial(_marked, place=pod.place, labels=labels, env=env))
    return marked


def change_pod(run: Mapping[str, Any], pod: Pod, change: Callable[[Any], Any]) -> dict[str, Any]:
    """The run object with this pod template changed; the given object is not."""
    return dict(_change(run, pod.path, change))


def _marked(pod: Any, place: Place, labels: Mapping[str, str], env: Mapping[str, str]) -> Any:
    """The pod template, marked."""
    if place.labels:
        old = _get(pod, place.labels)
        pod = _put(pod, place.labels, {**(old if isinstance(old, Mapping) else {}), **labels})
    for path in {place.containers, INIT_CONTAINERS} if place.containers[0] == "spec" else {place.containers}:
        held = _get(pod, path)
        if isinstance(held, list):
            pod = _put(pod, path, [_with_env(container, env) for container in held])
        elif isinstance(held, Mapping):
            pod = _put(pod, path, _with_env(held, env))
    return pod


def _with_env(container: Any, env: Mapping[str, str]) -> Any:
    """Ours stand first, so that the user's own variables can refer to them: $(KATIB_TRIAL_NAME)."""
    if not isinstance(container, Mapping):
        return container
    held = container.get("env")
    own = held if isinstance(held, list) else []
    taken = {entry.get("name") for entry in own if isinstance(entry, Mapping)}
    added = [{"name": name, "value": value} for name, value in env.items() if name not in taken]
    return {**container, "env": [*added, *own]} if added else container


def _get(value: Any, path: Path) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    held = value if isinstance(value, Mapping) else {}
    return {**held, path[0]: _put(held.get(path[0]), path[1:], new)} if path else new


def _change(value: Any, path: Steps, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    step, *rest = path
    changed = _change(value[step], tuple(rest), change)
    if isinstance(value, list):
        return [changed if index == step else item for index, item in enumerate(value)]
    return {**value, step: changed}


def _expand(value: Any, path: Path, done: Steps) -> Iterator[tuple[Steps, Mapping[str, Any]]]:
    if not path:
        if isinstance(value, Mapping):
            yield done, value
        return
    step, *rest = path
    if step != EVERY:
        if isinstance(value, Mapping) and step in value:
            yield from _expand(value[step], tuple(rest), (*done, step))
        return
    for index, item in enumerate(value if isinstance(value, list) else ()):
        yield from _expand(item, tuple(rest), (*done, index))


def _anywhere(value: Any, path: Steps) -> Iterator[Pod]:
    """Whatever looks like a pod template: a mapping with spec.containers."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _anywhere(item, (*path, index))
    elif isinstance(value, Mapping):
        if isinstance(_get(value, ANYWHERE.containers), list):
            yield Pod(ANYWHERE, path, value)
            return
        for key, item in value.items():
            yield from _anywhere(item, (*path, key))
