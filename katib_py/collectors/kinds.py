"""Which collector serves which kind of metricsCollectorSpec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from katib_py.collectors.collector import Collector
from katib_py.collectors.files import FileCollector
from katib_py.collectors.json_lines import JsonFormat
from katib_py.collectors.prometheus import PrometheusCollector, Target
from katib_py.collectors.tensorboard import EventFolder
from katib_py.collectors.text import TextFormat
from katib_py.core.experiment import CollectorKind, HttpGet, MetricsCollectorSpec, Source
from katib_py.core.objective import ObjectiveSpec


@dataclass(frozen=True, slots=True)
class Place:
    """Where one attempt leaves its measurements: its output, and what stands for the collector's path or host."""

    output: Path
    source: Path | None = None
    host: str = "127.0.0.1"


Attach = Callable[[Place], Collector]


def collector_for(spec: MetricsCollectorSpec, objective: ObjectiveSpec) -> Attach | None:
    """What makes the collector of an attempt, with all that its trials share prepared once.

    None where measurements arrive over the network by themselves (Push, Custom). Raises InvalidInput for filters that
    cannot be used.
    """
    prepare = KINDS[spec.kind]
    return None if prepare is None else prepare(spec.source or Source(), objective)


def _output(source: Source, objective: ObjectiveSpec) -> Attach:
    format = TextFormat(objective, _patterns(source))
    return lambda place: FileCollector(place.output, format)


def _file(source: Source, objective: ObjectiveSpec) -> Attach:
    as_json = source.file_system_path is not None and source.file_system_path.format == "JSON"
    format = JsonFormat(objective) if as_json else TextFormat(objective, _patterns(source))
    return lambda place: FileCollector(place.source or _path(source), format)


def _event_folder(source: Source, objective: ObjectiveSpec) -> Attach:
    path = _path(source)
    return lambda place: EventFolder(place.source or path, objective, path.as_posix())


def _prometheus(source: Source, objective: ObjectiveSpec) -> Attach:
    http = source.http_get or HttpGet()
    port, path, tls = int(http.port), http.path, http.scheme.upper() == "HTTPS"
    return lambda place: PrometheusCollector(Target(http.host or place.host, port, path, tls), objective)


KINDS: Final[Mapping[CollectorKind, Callable[[Source, ObjectiveSpec], Attach] | None]] = {
    CollectorKind.STDOUT: _output,
    CollectorKind.FILE: _file,
    CollectorKind.TENSORFLOW_EVENT: _event_folder,
    CollectorKind.PROMETHEUS: _prometheus,
    CollectorKind.CUSTOM: None,
    CollectorKind.PUSH: None,
}


def _patterns(source: Source) -> tuple[str, ...]:
    return source.filter.metrics_format if source.filter else ()


def _path(source: Source) -> Path:
    return Path(source.file_system_path.path if source.file_system_path else "")
