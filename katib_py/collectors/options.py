"""The flags of `katib-py collector`: Katib's names where there is one, each value as it is."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from katib_py.core.addresses import default_address
from katib_py.core.experiment import CollectorKind, MetricsCollectorSpec
from katib_py.core.names import DEFAULT_METRICS_FILE
from katib_py.core.objective import ObjectiveSpec

KINDS: Final = (CollectorKind.FILE, CollectorKind.TENSORFLOW_EVENT, CollectorKind.PROMETHEUS)
EPILOG: Final = """\
-m and -f are given once for each name and pattern, which are taken as they are: nothing is split at ';'.
A value that begins with a dash is written -m=-name. The trial's uid, namespace and attempt come from KATIB_TRIAL_UID,
KATIB_TRIAL_NAMESPACE and KATIB_TRIAL_ATTEMPT. Told to end (SIGTERM), it takes the rest, reports it, and leaves how it
ended, as JSON, in the termination message."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to collect for which trial, and where to report it.

    `born` is added to every position. `grace`: how many seconds there are between SIGTERM and the end.
    """

    trial: str
    objective: ObjectiveSpec
    spec: MetricsCollectorSpec
    address: str
    born: int
    grace: float
    message: str


def parse_options(arguments: Sequence[str], environment: Mapping[str, str]) -> Options:
    """The options of a command line; exits with 2 and words for one that cannot be used."""
    parser = _parser()
    given = parser.parse_args(arguments)
    address = given.address or default_address(environment)
    objective = ObjectiveSpec(objective_metric_name=given.metrics[0], additional_metric_names=tuple(given.metrics[1:]))
    try:
        spec = _spec(given)
    except ValueError as error:
        parser.error(f"argument -url: is {given.url!r}, no URL such as http://127.0.0.1:8080/metrics ({error})")
    return Options(given.trial, objective, spec, address, given.born, given.grace, given.message)


def _spec(given: argparse.Namespace) -> MetricsCollectorSpec:
    url = urlsplit(given.url)
    if not url.hostname:
        raise ValueError("it has no host")
    folder = given.kind is CollectorKind.TENSORFLOW_EVENT
    http = {"host": url.hostname, "port": url.port or 80, "path": url.path or "/", "scheme": url.scheme}
    if url.query:
        http["path"] = f"{http['path']}?{url.query}"
    path = {"path": given.path, "kind": "Directory" if folder else "File", "format": "" if folder else given.format}
    source = {"httpGet": http, "fileSystemPath": path, "filter": {"metricsFormat": given.filters}}
    return MetricsCollectorSpec.model_validate({"collector": {"kind": given.kind}, "source": source})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "katib-py collector",
        description="Read the metrics of the training beside it, and report them to the db-manager while it runs.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("-t", dest="trial", required=True, metavar="TRIAL", help="name of the trial")
    add("-m", dest="metrics", required=True, action="append", metavar="NAME", help="a metric; the objective first")
    add("-o-type", dest="type", choices=("minimize", "maximize"), help="as in the Experiment; nothing depends on it")
    add("-s-db", dest="address", metavar="HOST:PORT", help="the db-manager; else KATIB_DB_MANAGER_SERVICE_IP and so on")
    add("-kind", type=CollectorKind, choices=KINDS, default=CollectorKind.FILE, help="default %(default)s")
    add("-path", default=DEFAULT_METRICS_FILE, metavar="PATH", help="the file, or the folder of the event files")
    add("-format", choices=("TEXT", "JSON"), default="TEXT", help="of the file; default %(default)s")
    add("-f", dest="filters", action="append", default=[], metavar="RE2", help="a pattern with two groups: name, value")
    add("-url", default="http://127.0.0.1:8080/metrics", metavar="URL", help="what PrometheusMetric asks")
    add("-born", type=int, default=0, metavar="N", help="added to every position, so that pods of one run differ")
    add("-grace", type=float, default=30.0, metavar="SECONDS", help="from SIGTERM to SIGKILL; default %(default)s")
    add("-message", default="/dev/termination-log", metavar="PATH", help="of the termination message")
    return parser
