"""A katib-config's text to a KatibConfig, or everything that is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from katib_py.core.documents import read_documents
from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.experiment import CollectorKind
from katib_py.core.json_types import as_json
from katib_py.core.katib_config import (
    CONTAINER_FIELDS,
    PULL_POLICIES,
    AlgorithmEntry,
    CertGenerator,
    CollectorEntry,
    ControllerSection,
    Entry,
    KatibConfig,
    Resources,
    SuggestionEntry,
    parse_kind,
)
from katib_py.core.parse import KEPT, Kept, nearest, read_model
from katib_py.core.quantity import quantity

ADDRESS: Final = re.compile(r"[^\s:/]+:[0-9]{1,5}")
LISTEN: Final = re.compile(r"[^\s:]*:[0-9]{1,5}|0")
CONTAINER: Final[Kept] = {**KEPT, SuggestionEntry: CONTAINER_FIELDS, Resources: frozenset({"claims"})}
HEADS: Final = (("apiVersion", "config.kubeflow.org/v1beta1"), ("kind", "KatibConfig"))


def read_config(text: str | bytes) -> tuple[KatibConfig, tuple[Problem, ...]]:
    """The configuration in a katib-config.yaml, and warnings; empty text gives all the defaults.

    Raises InvalidInput with every problem, the warnings among them.
    """
    documents = read_documents(text) or [{}]
    value, problems = as_json(documents[0])
    if len(documents) > 1 or not isinstance(value, dict):
        what = f"has {len(documents)} documents" if len(documents) > 1 else f"is {show(value)}"
        raise InvalidInput([Problem("", f"{what}; must be one KatibConfig, a mapping with init and runtime")])
    config, found = read_model(KatibConfig, value, kept=CONTAINER)
    problems = [*problems, *found, *_problems(config)]
    if any(problem.severity == "error" for problem in problems):
        raise InvalidInput(problems)
    return config, tuple(problems)


def _problems(config: KatibConfig) -> Iterator[Problem]:
    for field, right in HEADS:
        given = config.api_version if field == "apiVersion" else config.kind
        if given != right:
            yield Problem(field, f"is {show(given)}; must be {right}")
    yield from _controller_problems(config.init.controller)
    yield from _certificate_problems(config.init.cert_generator)
    runtime = config.runtime
    for field, entries in (("suggestions", runtime.suggestions), ("earlyStoppings", runtime.early_stoppings)):
        yield from _doubles(f"runtime.{field}", [entry.algorithm_name for entry in entries])
        for index, entry in enumerate(entries):
            yield from _algorithm_problems(entry, f"runtime.{field}[{index}]")
    yield from _doubles("runtime.metricsCollectors", [entry.kind for entry in runtime.metrics_collectors])
    for index, collector in enumerate(runtime.metrics_collectors):
        yield from _collector_problems(collector, f"runtime.metricsCollectors[{index}]")


def _controller_problems(section: ControllerSection) -> Iterator[Problem]:
    path = "init.controller"
    for field, listen in (("metricsAddr", section.metrics_addr), ("healthzAddr", section.healthz_addr)):
        if not LISTEN.fullmatch(listen):
            yield Problem(f"{path}.{field}", f"is {show(listen)}; must be HOST:PORT, :PORT, or 0 for none")
    if not 0 <= section.webhook_port < 65536:
        yield Problem(f"{path}.webhookPort", f"is {section.webhook_port}; must be a port up to 65535, or 0 for none")
    if not section.leader_election_id:
        yield Problem(f"{path}.leaderElectionID", "is empty; must be the name of a Lease")
    for index, text in enumerate(section.trial_resources):
        if parse_kind(text) is None:
            words = f"is {show(text)}; must be Kind.version.group, such as TFJob.v1.kubeflow.org"
            yield Problem(f"{path}.trialResources[{index}]", words)


def _certificate_problems(section: CertGenerator) -> Iterator[Problem]:
    for field, name in (
        ("webhookServiceName", section.webhook_service_name),
        ("webhookSecretName", section.webhook_secret_name),
    ):
        if not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name):
            yield Problem(f"init.certGenerator.{field}", f"is {show(name)}; must be the name of an object")


def _algorithm_problems(entry: AlgorithmEntry, path: str) -> Iterator[Problem]:
    if not entry.algorithm_name:
        yield Problem(f"{path}.algorithmName", "is missing; must be the name that Experiments write")
    if entry.address and not ADDRESS.fullmatch(entry.address):
        yield Problem(f"{path}.address", f"is {show(entry.address)}; must be HOST:PORT")
    if entry.address and entry.image:
        yield Problem(f"{path}.address", "stands beside image; give one of them")
    yield from _entry_problems(entry, path)


def _collector_problems(entry: CollectorEntry, path: str) -> Iterator[Problem]:
    kinds = [kind.value for kind in CollectorKind]
    if entry.kind not in kinds:
        meant = nearest(entry.kind, kinds)
        hint = f": did you mean {meant}?" if meant else ""
        yield Problem(f"{path}.kind", f"is {show(entry.kind)}, none of {listed(kinds)}{hint}", "warning")
    yield from _entry_problems(entry, path)


def _entry_problems(entry: Entry, path: str) -> Iterator[Problem]:
    if entry.image_pull_policy and entry.image_pull_policy not in PULL_POLICIES:
        words = f"is {show(entry.image_pull_policy)}, none of {listed(PULL_POLICIES)}; IfNotPresent is taken"
        yield Problem(f"{path}.imagePullPolicy", words, "warning")
    for group, amounts in (("requests", entry.resources.requests), ("limits", entry.resources.limits)):
        for name, amount in amounts.items():
            try:
                quantity(amount)
            except InvalidInput as error:
                yield Problem(f"{path}.resources.{group}.{name}", error.problems[0].message)


def _doubles(path: str, names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name and name in names[:index]:
            yield Problem(f"{path}[{index}]", f"is about {show(name)}, as one above; the last one counts", "warning")
