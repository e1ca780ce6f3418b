"""Which collector reads a local run, and where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.program import Site
from katib_py.collectors.collector import Collector
from katib_py.collectors.files import FileCollector
from katib_py.collectors.text import TextFormat
from katib_py.core.experiment import CollectorKind

Meter = Callable[[RunFolder, str], Collector | None]


def meter(site: Site) -> Meter:
    """Makes the collector of each run, given its folder and the collector's path there; raises InvalidInput.

    None where the trial reports by itself.
    """
    spec = site.experiment.spec
    if spec.objective is None:
        raise ValueError("an experiment without objective measures nothing; validate it first")
    source = spec.metrics_collector_spec.source if spec.metrics_collector_spec is not None else None
    patterns = source.filter.metrics_format if source is not None and source.filter is not None else ()
    format = TextFormat(spec.objective, patterns)
    if site.kind is CollectorKind.STDOUT:
        return lambda folder, path: FileCollector(Path(folder.output), format)
    if site.kind is CollectorKind.FILE:
        return lambda folder, path: FileCollector(Path(path), format)
    return lambda folder, path: None
