"""The collector's container beside a training: its arguments, its user, and what it sees of the metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from katib_py.core.experiment import CollectorKind, HttpGet, MetricsCollectorSpec, Source
from katib_py.core.objective import ObjectiveSpec

NAMES: Final[Mapping[CollectorKind, str]] = {
    CollectorKind.FILE: "metrics-logger-and-collector",
    CollectorKind.TENSORFLOW_EVENT: "metrics-collector",
    CollectorKind.PROMETHEUS: "metrics-collector",
}
COMMAND: Final = ("katib-py", "collector")
VOLUME: Final = "metrics-volume"
SOMEBODY: Final = 65532  # any user but root

# Kubernetes starts the training once this returns. A collector that is not there yet would not hear that it is to end.
# It says that it is there in its termination message; after ten seconds the training starts without it.
READY: Final = "i=0; until [ -s /dev/termination-log ] || [ $i -ge 200 ]; do i=$((i+1)); sleep 0.05; done"
LIFECYCLE: Final = {"postStart": {"exec": {"command": ["sh", "-c", READY]}}}

# A position of a measurement is the pod's birth in milliseconds and, in this many bits below it, its place in a file:
# so that of two pods of one run neither hides what the other measured.
PLACE_BITS: Final = 20

Json = dict[str, Any]


def metrics_path(spec: MetricsCollectorSpec) -> str | None:
    """The file or folder that the collector reads, without double or trailing slashes; None where it reads none."""
    source = spec.source or Source()
    if spec.kind in {CollectorKind.STDOUT, CollectorKind.PUSH, CollectorKind.PROMETHEUS} or not source.file_system_path:
        return None
    return normal(source.file_system_path.path)


def metrics_folder(spec: MetricsCollectorSpec) -> str | None:
    """The folder to share with the collector: Katib's mount path."""
    path = metrics_path(spec)
    if path is None or spec.source is None or spec.source.file_system_path is None:
        return None
    return path if spec.source.file_system_path.kind == "Directory" else path.rpartition("/")[0] or "/"


def normal(path: str) -> str:
    """The absolute path in its shortest form."""
    return "/" + "/".join(part for part in path.split("/") if part not in {"", "."})


def arguments(trial: str, objective: ObjectiveSpec, spec: MetricsCollectorSpec, address: str) -> list[str]:
    """The flags of `katib-py collector`, as Kubernetes wants them: `$` doubled, which it halves again."""
    return [text.replace("$", "$$") for text in _flags(trial, objective, spec, address)]


def _flags(trial: str, objective: ObjectiveSpec, spec: MetricsCollectorSpec, address: str) -> Iterator[str]:
    source = spec.source or Source()
    yield f"-t={trial}"
    yield from (f"-m={metric}" for metric in objective.metric_names)
    if objective.type is not None:
        yield f"-o-type={objective.type}"
    yield f"-s-db={address}"
    yield f"-kind={spec.kind}"
    if (path := metrics_path(spec)) is not None:
        yield f"-path={path}"
    if source.file_system_path is not None and source.file_system_path.format:
        yield f"-format={source.file_system_path.format}"
    yield from (f"-f={pattern}" for pattern in (source.filter.metrics_format if source.filter else ()))
    if spec.kind is CollectorKind.PROMETHEUS:
        yield f"-url={_url(source.http_get or HttpGet())}"


def _url(http: HttpGet) -> str:
    return f"{http.scheme.lower() or 'http'}://{http.host or '127.0.0.1'}:{http.port}{http.path}"


def security_context(pod: Mapping[str, Any], primary: Mapping[str, Any], copied: Mapping[str, Any] | None) -> Json:
    """One that passes Kubernetes' restricted level: the training's own user, unless that is root, so that its files can
    be read; and what `copied`, another container's context, says beyond that.
    """
    users = {**_user(_get(primary, "securityContext")), **_user(copied)}
    context: Json = {
        **users,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": _seccomp(copied),
    }
    if (level := _get(copied, "seLinuxOptions", "level")) is not None:
        context["seLinuxOptions"] = {"level": level}
    # Who says root for the whole pod means the training; elsewhere the user is left to the image and the platform.
    if _get(pod, "spec", "securityContext", "runAsUser") == 0:
        context.setdefault("runAsUser", SOMEBODY)
    return context


def _user(context: Mapping[str, Any] | None) -> Json:
    given = context if isinstance(context, Mapping) else {}
    return {key: given[key] for key in ("runAsUser", "runAsGroup") if given.get(key)}


def _seccomp(copied: Mapping[str, Any] | None) -> Any:
    given = _get(copied, "seccompProfile")
    return given if _get(given, "type") in {"RuntimeDefault", "Localhost"} else {"type": "RuntimeDefault"}


def mount_over(container: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """The container's own mount in which the path lies: the innermost one."""
    mounts = [mount for mount in container.get("volumeMounts") or () if _within(path, normal(mount["mountPath"]))]
    return max(mounts, key=lambda mount: len(normal(mount["mountPath"])), default=None)


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def shared_mount(mount: Mapping[str, Any], read_only: bool) -> Json:
    """The same mount for another container."""
    kept = {key: mount[key] for key in ("name", "mountPath", "subPath", "subPathExpr") if key in mount}
    return {**kept, "readOnly": True} if read_only else kept


def borrowed_env(container: Mapping[str, Any], mounts: Iterable[Mapping[str, Any]]) -> list[Json]:
    """What the collector needs of the training's variables: Katib's, and those in the paths of its mounts."""
    expressions = [str(mount.get("subPathExpr", "")) for mount in mounts]
    needed = {name for text in expressions for name in re.findall(r"\$\(([^)]+)\)", text)}
    held = container.get("env") or ()
    return [dict(entry) for entry in held if entry["name"].startswith("KATIB_") or entry["name"] in needed]


def _get(value: Any, *path: str) -> Any:
    for step in path:
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
