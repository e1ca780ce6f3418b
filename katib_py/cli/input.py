"""A user's file to an Experiment that can be run, or everything that is wrong with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.configs import Configs
from katib_py.backends.local.configured import image_problems
from katib_py.backends.local.home import Home
from katib_py.backends.local.preflight import preflight
from katib_py.backends.local.program import Site
from katib_py.collectors.filters import filter_problem
from katib_py.controller.ports import Key
from katib_py.core.documents import read_documents
from katib_py.core.early_stopping import STOPPERS
from katib_py.core.errors import InvalidInput, NotFound, Problem, show
from katib_py.core.experiment import Experiment
from katib_py.core.katib_config import KatibConfig
from katib_py.core.load import load_experiment
from katib_py.core.parse import Unknown
from katib_py.core.template import ConfigMaps, read_source
from katib_py.core.validate import Checks, validate_edit
from katib_py.core.validate.config import read_config

COMPANIONS: Final = ("ConfigMap", "Secret")  # a tuple: what a file calls its kind may not be hashable
DEFAULT_NAMESPACE: Final = "default"

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Input:
    """A valid experiment, defaulted, with the ConfigMaps and Secrets beside it and what to warn about.

    `config` names services other than ours.
    """

    experiment: Experiment
    configs: Configs
    config_maps: ConfigMaps
    warnings: tuple[Problem, ...]
    config: KatibConfig

    def apply(self, catalog: Catalog, now: float) -> Experiment:
        """Have it stored: created, or its budgets edited; raises InvalidInput for an edit that is not allowed."""
        key = Key(self.experiment.metadata.namespace, self.experiment.name)
        try:
            old, begun = catalog.get(key), catalog.suggestion(key)[0].assigned > 0
        except NotFound:
            begun = False
        # Before the first assignment nothing depends on the spec yet, so a corrected file may change all of it.
        if begun and (problems := validate_edit(old, self.experiment)):
            raise InvalidInput(problems)
        stored, _ = catalog.apply(self.experiment, now)
        return stored


def read_input(file: Path, namespace: str | None, strict: bool = False, config: Path | None = None) -> Input:
    """The experiment of a YAML file, with a katib-config.yaml; raises InvalidInput with every problem and its file."""
    services, warnings = KatibConfig(), tuple[Problem, ...]()
    if config is not None:
        services, warnings = _naming(config, lambda: read_config(_bytes(config)))
    given = _naming(file, lambda: _read(file, namespace, strict, services))
    return replace(given, warnings=(*warnings, *given.warnings))


def _naming(file: Path, read: Callable[[], Read]) -> Read:
    """What was read; the problems of what cannot be used begin with the file's name."""
    try:
        return read()
    except InvalidInput as error:
        named = [replace(problem, path=_where(file, problem)) for problem in error.problems]
        raise InvalidInput(named) from None


def _read(file: Path, namespace: str | None, strict: bool, config: KatibConfig) -> Input:
    document, companions = _sort(read_documents(_bytes(file)))
    document = _in_namespace(document, namespace)
    configs = Configs.of(companions)
    config_maps = _config_maps(companions, namespace or _namespace_of(document))
    stoppers = config.early_stoppers(STOPPERS)
    checks = Checks(filter_problem, early_stopping=stoppers, config_maps=config_maps)
    # Whoever wrote the file can mend it; an object that a client sends or the store holds may carry what it likes.
    loaded = load_experiment(document, checks, Unknown.REFUSED if strict else Unknown.NO_SLIPS)
    experiment = loaded.experiment
    problems = [*loaded.warnings, *_preflight(experiment, configs, config_maps), *image_problems(config, experiment)]
    if _hinders(problems):
        raise InvalidInput(problems)
    return Input(experiment, configs, config_maps, tuple(problems), config)


def _hinders(problems: Iterable[Problem]) -> bool:
    return any(problem.severity == "error" for problem in problems)


def _preflight(experiment: Experiment, configs: Configs, config_maps: ConfigMaps) -> list[Problem]:
    assert experiment.spec.trial_template is not None
    try:
        document = read_source(experiment.spec.trial_template, config_maps).plainly()
    except InvalidInput as error:
        return list(error.problems)
    return preflight(Site(experiment, str(Home.find().runs), os.getcwd(), configs), document)


def _bytes(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput([Problem("", f"cannot be read: {error.strerror or error}")]) from None


def _sort(documents: list[Any]) -> tuple[Any, list[dict[str, Any]]]:
    """The one Experiment of the file, and what stands beside it."""
    companions = [item for item in documents if isinstance(item, dict) and item.get("kind") in COMPANIONS]
    others = [item for item in documents if item is not None and item not in companions]
    if len(others) != 1:
        count = "no Experiment" if not others else f"{len(others)} documents that are neither ConfigMap nor Secret"
        raise InvalidInput([Problem("", f"has {count}; one Experiment is what can be run")])
    return others[0], companions


def _in_namespace(document: Any, namespace: str | None) -> Any:
    """The document in the namespace of the command line, if there is one; raises InvalidInput if it names another."""
    if namespace is None or not isinstance(document, dict) or not isinstance(document.get("metadata", {}), dict):
        return document
    metadata = document.get("metadata", {})
    written = metadata.get("namespace")
    if written not in {None, namespace}:
        message = f"is {show(written)}, but --namespace says {show(namespace)}"
        raise InvalidInput([Problem("metadata.namespace", message)])
    return {**document, "metadata": {**metadata, "namespace": namespace}}


def _namespace_of(document: Any) -> str:
    metadata = document.get("metadata") if isinstance(document, dict) else None
    written = metadata.get("namespace") if isinstance(metadata, dict) else None
    return written if isinstance(written, str) else DEFAULT_NAMESPACE


def _config_maps(companions: list[dict[str, Any]], namespace: str) -> ConfigMaps:
    """The data of the ConfigMaps; one without a namespace is in the experiment's."""
    maps = {}
    for document in companions:
        metadata, data = document.get("metadata") or {}, document.get("data") or {}
        if document.get("kind") == "ConfigMap" and isinstance(metadata, dict) and isinstance(data, dict):
            maps[str(metadata.get("namespace", namespace)), str(metadata.get("name", ""))] = data
    return maps


def _where(file: Path, problem: Problem) -> str:
    return f"{file}: {problem.path}" if problem.path else str(file)
