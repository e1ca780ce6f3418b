"""What a run object asks to be run, as a program of this machine."""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from katib_py.backends.local.configs import Configs
from katib_py.backends.local.environment import Surroundings, environment, expand
from katib_py.backends.local.folder import RunFolder
from katib_py.backends.local.paths import Paths, run_paths
from katib_py.backends.local.pod import LocalPod, find_pod
from katib_py.backends.local.resources import Demand, demand
from katib_py.core import names
from katib_py.core.checkpoints import checkpoint_path
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.experiment import CollectorKind, Experiment, TrialTemplate

GRACE_SECONDS: Final = 10.0
_PATH_KINDS: Final = {CollectorKind.FILE, CollectorKind.TENSORFLOW_EVENT, CollectorKind.CUSTOM}


@dataclass(frozen=True, slots=True)
class Site:
    """What the runs of one experiment have in common.

    `runs` is the folder of all runs, `cwd` where the controller was started, `db_manager` the address (host, port) to
    which pushing trials report, `env` what every run inherits.
    """

    experiment: Experiment
    runs: str
    cwd: str
    configs: Configs = field(default_factory=Configs)
    db_manager: tuple[str, int] | None = None
    env: Mapping[str, str] = field(default_factory=lambda: inherited(os.environ))

    @property
    def owner(self) -> tuple[str, str]:
        """The experiment's namespace and name."""
        return self.experiment.metadata.namespace, self.experiment.name

    @property
    def uid(self) -> str:
        """The experiment's uid."""
        return self.experiment.metadata.uid

    @property
    def kind(self) -> CollectorKind:
        """The kind of the experiment's collector."""
        collector = self.experiment.spec.metrics_collector_spec
        return collector.kind if collector is not None else CollectorKind.STDOUT

    @property
    def template(self) -> TrialTemplate:
        """The experiment's trial template."""
        return self.experiment.spec.trial_template or TrialTemplate()


@dataclass(frozen=True, slots=True)
class Program:
    """A program to run. Times are seconds; `env` is complete; `files` are to be written before the start."""

    command: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    paths: Paths = field(default_factory=Paths)
    files: Mapping[str, bytes] = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)
    deadline: float | None = None
    backoff: int = 0
    grace: float = GRACE_SECONDS

    def prepare(self) -> None:
        """Make the folders and files that it expects, readable for their owner alone; raises OSError."""
        self.paths.make()
        for path, content in self.files.items():
            with open(path, "wb", opener=_private) as file:
                file.write(content)


Built = tuple[Program, list[Problem]]


def build_program(site: Site, document: Mapping[str, Any], run: RunFolder, own: Mapping[str, str]) -> Built:
    """The program of a rendered run object, and every reason why it cannot run here, paths as in the run object.

    `own` are the KATIB_* variables of this run.
    """
    pod = find_pod(document, site.template)
    if pod is None:
        name = show(site.template.primary_container_name)
        missing = f"this {document.get('kind')} has no pod template with a container {name}"
        return Program((), {}, ""), [Problem("", missing)]
    return _program(site, document, run, own, pod)


def build_collector(site: Site, document: Mapping[str, Any], run: RunFolder, own: Mapping[str, str]) -> Built:
    """The program of the Custom collector that stands beside the run, and why it cannot run here."""
    spec = site.experiment.spec.metrics_collector_spec
    container = spec.collector.custom_collector if spec is not None and spec.collector is not None else None
    pod = find_pod(document, site.template) or LocalPod({}, {}, {}, "")
    path = "spec.metricsCollectorSpec.collector.customCollector"
    beside = LocalPod(pod.metadata, pod.spec, container or {}, path)
    return _program(site, document, run, own, beside)


def _program(site: Site, document: Mapping[str, Any], run: RunFolder, own: Mapping[str, str], pod: LocalPod) -> Built:
    problems: list[Problem] = []
    variables = _attempt(lambda: _variables(pod, document, site), pod.path, problems, {})
    wanted = _attempt(lambda: demand(pod.container, _port(site)), pod.path, problems, Demand())
    path = _collector_path(site)
    paths = run_paths(run, _mounts(pod), path, _is_directory(site, path), checkpoint_path(site.experiment))
    variables = {name: paths.apply(value) for name, value in variables.items()}
    env = _environment(site, variables, own, paths)
    cwd = _working_dir(pod, variables, paths, site, problems)
    command = _command(pod, variables, paths, (env["PATH"], cwd), problems)
    limits = _attempt(lambda: _limits(document, pod), "", problems, (None, 0, GRACE_SECONDS))
    files = _volume_files(pod, paths, site.configs)
    return Program(command, env, cwd, paths, files, wanted, *limits), problems


def _attempt(work: Any, path: str, problems: list[Problem], otherwise: Any) -> Any:
    """What `work` returns; its problems, placed below `path`, are collected instead of raised."""
    try:
        return work()
    except InvalidInput as error:
        problems += [Problem(".".join(filter(None, (path, each.path))), each.message) for each in error.problems]
        return otherwise


def _variables(pod: LocalPod, document: Mapping[str, Any], site: Site) -> dict[str, str]:
    metadata = {**(document.get("metadata") or {}), **pod.metadata}
    metadata.setdefault("namespace", site.owner[0])
    return environment(pod.container, Surroundings(metadata, site.configs))


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """What a shell would hand on, with our interpreter found first and Python's output not held back."""
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{environ.get('PATH', os.defpath)}"
    return {"PYTHONUNBUFFERED": "1", **environ, "PATH": path}


def _environment(site: Site, variables: Mapping[str, str], own: Mapping[str, str], paths: Paths) -> dict[str, str]:
    env = {**site.env, **variables, **own}
    if "PATH" in variables:
        env["PATH"] = f"{os.path.dirname(sys.executable)}{os.pathsep}{variables['PATH']}"
    if site.db_manager is not None:
        # An empty namespace makes the address host:port, as Katib composes it.
        host, port = site.db_manager
        address = {names.ENV_DB_MANAGER_IP: host, names.ENV_DB_MANAGER_PORT: str(port)}
        env |= {**address, names.ENV_DB_MANAGER_NAMESPACE: ""}
    if paths.collector:
        env[names.ENV_METRICS_PATH] = paths.collector
    return env


def _command(
    pod: LocalPod, variables: Mapping[str, str], paths: Paths, search: tuple[str, str], problems: list[Problem]
) -> list[str]:
    """Command and args with everything replaced, the program by its absolute path; `search` is PATH and folder."""
    command, args = pod.container.get("command") or [], pod.container.get("args") or []
    if not command:
        message = "is not given; the image's own entry point is not known locally, so write the command out"
        problems.append(Problem(f"{pod.path}.command", message))
        return []
    program, *rest = [paths.apply(expand(str(part), variables)) for part in (*command, *args)]
    found = find_command(program, *search)
    if found is None:
        problems.append(Problem(f"{pod.path}.command[0]", f"is {show(program)}; no such program is in PATH"))
    return [found or program, *rest]


def _working_dir(pod: LocalPod, variables: Mapping[str, str], paths: Paths, site: Site, problems: list[Problem]) -> str:
    written = pod.container.get("workingDir")
    if not written:
        return site.cwd
    path = posixpath.join(site.cwd, paths.apply(expand(str(written), variables)))
    if not os.path.isdir(path) and path not in paths.folders:
        message = f"is {show(written)}; there is no such folder on this machine"
        problems.append(Problem(f"{pod.path}.workingDir", message))
    return path


@lru_cache(256)
def find_command(name: str, path: str, cwd: str) -> str | None:
    """The absolute path of a program as a shell in `cwd` would find it; None where there is none.

    Being absolute it is never mistaken for something that the shell does itself.
    """
    found = shutil.which(posixpath.join(cwd, name) if "/" in name else name, path=path)
    return os.path.abspath(found) if found is not None else None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _mounts(pod: LocalPod) -> dict[str, str]:
    mounts = pod.container.get("volumeMounts") or []
    return {str(mount.get("mountPath", "")): str(mount.get("name", "")) for mount in mounts if mount.get("mountPath")}


def _volume_files(pod: LocalPod, paths: Paths, configs: Configs) -> dict[str, bytes]:
    """The contents of mounted ConfigMaps and Secrets."""
    files: dict[str, bytes] = {}
    folders = {posixpath.basename(folder): folder for folder in paths.folders}
    for volume in pod.spec.get("volumes") or []:
        folder = folders.get(str(volume.get("name")))
        for kind, source, key in (("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName")):
            content = configs.get(kind, str((volume.get(source) or {}).get(key)))
            if folder is not None and content is not None:
                files.update((f"{folder}/{name}", data) for name, data in content.items() if "/" not in name)
    return files


def _collector_path(site: Site) -> str:
    collector = site.experiment.spec.metrics_collector_spec
    if collector is None or site.kind not in _PATH_KINDS or collector.source is None:
        return ""
    place = collector.source.file_system_path
    return place.path if place is not None else ""


def _is_directory(site: Site, path: str) -> bool:
    collector = site.experiment.spec.metrics_collector_spec
    source = collector.source if collector is not None else None
    place = source.file_system_path if source is not None else None
    return bool(path) and (
        site.kind is CollectorKind.TENSORFLOW_EVENT or (place is not None and place.kind == "Directory")
    )


def _port(site: Site) -> int | None:
    """The port that a Prometheus collector scrapes: fixed, so only one trial can listen there at a time."""
    collector = site.experiment.spec.metrics_collector_spec
    if site.kind is not CollectorKind.PROMETHEUS or collector is None or collector.source is None:
        return None
    get = collector.source.http_get
    return int(get.port) if get is not None and str(get.port).isdecimal() else None


def _limits(document: Mapping[str, Any], pod: LocalPod) -> tuple[float | None, int, float]:
    """Deadline, back-off limit and grace period, in seconds; raises InvalidInput."""
    spec = document.get("spec") or {}
    policy = spec.get("runPolicy") or {}
    places = (("spec", spec), ("spec.runPolicy", policy), ("spec.template.spec", pod.spec))
    deadlines = list(_numbers(places, "activeDeadlineSeconds"))
    backoffs = list(_numbers(places[:2], "backoffLimit"))
    graces = list(_numbers(places[2:], "terminationGracePeriodSeconds"))
    # Locally an absent limit is 0: a failed trial is an answer, and repeating it seven times is not what people want.
    return min(deadlines, default=None), int(min(backoffs, default=0)), min(graces, default=GRACE_SECONDS)


def _numbers(places: Sequence[tuple[str, Mapping[str, Any]]], key: str) -> Iterator[float]:
    for path, place in places:
        value = place.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not str(value).isdecimal():
            raise InvalidInput(
                [Problem(f"{path}.{key}", f"is {show(value)}; must be a whole number of seconds or runs")]
            )
        yield float(value)
