"""Where the metrics come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from katib_py.core.errors import Problem, show
from katib_py.core.experiment import CollectorKind, FileSystemPath, HttpGet, MetricsCollectorSpec, Source
from katib_py.core.sidecar import metrics_folder, metrics_path

PATH: Final = "spec.metricsCollectorSpec"
FILE_PATH: Final = f"{PATH}.source.fileSystemPath"

CheckRegex = Callable[[str], str | None]


def collector_problems(
    spec: MetricsCollectorSpec | None, check_regex: CheckRegex | None, in_pods: bool = False
) -> Iterator[Problem]:
    """What the kind of collector needs, and the filters of every kind."""
    if spec is None:
        return
    if in_pods and metrics_folder(spec) == "/":
        words = f"is {show(metrics_path(spec))}; must be in a folder, which becomes a volume that the collector shares"
        yield Problem(f"{FILE_PATH}.path", words)
    source = spec.source or Source()
    path = source.file_system_path or FileSystemPath()
    match spec.kind:
        case CollectorKind.FILE:
            yield from _file_problems(path, source)
        case CollectorKind.TENSORFLOW_EVENT:
            yield from _path_problems(path, ("Directory",))
            if path.format:
                yield Problem(f"{FILE_PATH}.format", f"is {show(path.format)}; event files have no format to choose")
        case CollectorKind.PROMETHEUS:
            yield from _http_problems(source.http_get or HttpGet())
        case CollectorKind.CUSTOM:
            yield from _custom_problems(spec)
    yield from _filter_problems(source, check_regex)


def _file_problems(path: FileSystemPath, source: Source) -> Iterator[Problem]:
    yield from _path_problems(path, ("File",))
    if path.format not in {"TEXT", "JSON"}:
        yield Problem(f"{FILE_PATH}.format", f"is {show(path.format)}; must be TEXT or JSON")
    if path.format == "JSON" and source.filter is not None:
        yield Problem(
            f"{PATH}.source.filter", "stands beside format JSON; metrics of JSON lines are found by their keys"
        )


def _path_problems(path: FileSystemPath, kinds: tuple[str, ...]) -> Iterator[Problem]:
    if path.kind not in kinds:
        yield Problem(f"{FILE_PATH}.kind", f"is {show(path.kind)}; must be {' or '.join(kinds)}")
    if not path.path.startswith("/"):
        yield Problem(f"{FILE_PATH}.path", f"is {show(path.path)}; must be an absolute path")
    elif ".." in path.path.split("/"):
        yield Problem(f"{FILE_PATH}.path", f"is {show(path.path)}; must not contain ..")


def _http_problems(http_get: HttpGet) -> Iterator[Problem]:
    where = f"{PATH}.source.httpGet"
    text = str(http_get.port)
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) < 65536):
        yield Problem(f"{where}.port", f"is {show(http_get.port)}; must be a port from 1 to 65535")
    if not http_get.path.startswith("/"):
        yield Problem(f"{where}.path", f"is {show(http_get.path)}; must begin with /")


def _custom_problems(spec: MetricsCollectorSpec) -> Iterator[Problem]:
    if spec.collector is None or not spec.collector.custom_collector:
        yield Problem(f"{PATH}.collector.customCollector", "is missing; must be the container that collects")
    path = spec.source.file_system_path if spec.source else None
    if path is not None:
        yield from _path_problems(path, ("File", "Directory"))


def _filter_problems(source: Source, check_regex: CheckRegex | None) -> Iterator[Problem]:
    for index, pattern in enumerate(source.filter.metrics_format if source.filter and check_regex else ()):
        complaint = check_regex(pattern) if check_regex is not None else None
        if complaint is not None:
            yield Problem(f"{PATH}.source.filter.metricsFormat[{index}]", f"is {show(pattern)}; {complaint}")
