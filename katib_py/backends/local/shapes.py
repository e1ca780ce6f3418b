"""Whether the parts of a run object that are read here are mappings, lists and scalars where they should be.

The API server of a cluster checks this against the kind's schema; here nobody else does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from katib_py.backends.local.pod import LocalPod
from katib_py.core.errors import Problem, show

SCALAR: Final = "scalar"
# A mapping's known keys, a list's item, or SCALAR. Whatever is null is absent, except in a list.
Shape = Mapping[str, Any] | list[Any] | str

_KEY: Final[Shape] = {"name": SCALAR, "key": SCALAR}
_NAME: Final[Shape] = {"name": SCALAR}
CONTAINER: Final[Shape] = {
    "name": SCALAR,
    "image": SCALAR,
    "command": [SCALAR],
    "args": [SCALAR],
    "workingDir": SCALAR,
    "env": [
        {
            "name": SCALAR,
            "value": SCALAR,
            "valueFrom": {
                "configMapKeyRef": _KEY,
                "secretKeyRef": _KEY,
                "fieldRef": {"fieldPath": SCALAR},
                "resourceFieldRef": {"resource": SCALAR, "divisor": SCALAR},
            },
        }
    ],
    "envFrom": [{"prefix": SCALAR, "configMapRef": _NAME, "secretRef": _NAME}],
    "resources": {"requests": {}, "limits": {}},
    "volumeMounts": [{"name": SCALAR, "mountPath": SCALAR}],
}
METADATA: Final[Shape] = {"labels": {}, "annotations": {}}
POD: Final[Shape] = {
    "containers": [_NAME],
    "initContainers": [_NAME],
    "volumes": [{"name": SCALAR, "configMap": _NAME, "secret": {"secretName": SCALAR}}],
}
RUN: Final[Shape] = {"metadata": METADATA, "spec": {"runPolicy": {}}}


def run_problems(document: Mapping[str, Any], pod: LocalPod | None) -> list[Problem]:
    """What of a run object has the wrong shape, paths as in it."""
    problems = list(_check(document, RUN, ""))
    if pod is not None:
        owner = pod.path.rpartition(".")[0]
        problems += _check(pod.metadata, METADATA, f"{owner.removesuffix('spec')}metadata")
        problems += _check(pod.spec, POD, owner)
        problems += _check(pod.container, CONTAINER, pod.path)
    return problems


def container_problems(container: Any, path: str) -> list[Problem]:
    """What of a container has the wrong shape."""
    return list(_check(container, CONTAINER, path))


def _check(value: Any, shape: Shape, path: str) -> Iterator[Problem]:
    if isinstance(shape, list):
        if not isinstance(value, list):
            yield Problem(path, f"is {show(value)}; must be a list")
            return
        for index, item in enumerate(value):
            yield from _check(item, shape[0], f"{path}[{index}]")
    elif isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            yield Problem(path, f"is {show(value)}; must be a mapping")
            return
        for key, inner in shape.items():
            if value.get(key) is not None:
                yield from _check(value[key], inner, f"{path}.{key}".removeprefix("."))
    elif value is None or isinstance(value, list | Mapping):
        yield Problem(path, f"is {show(value)}; must be text")
