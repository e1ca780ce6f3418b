"""What would go wrong with every trial on this machine, found before the first one is started."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from katib_py.backends.local.folder import run_folder
from katib_py.backends.local.pod import LocalPod, find_pod
from katib_py.backends.local.program import Site, build_collector, build_program
from katib_py.backends.local.resources import GPU, Demand, machine, refuse_impossible
from katib_py.backends.local.shapes import container_problems, run_problems
from katib_py.core.errors import Problem, show
from katib_py.core.experiment import CollectorKind

TEMPLATE: Final = "spec.trialTemplate.trialSpec"
CUSTOM: Final = "spec.metricsCollectorSpec.collector.customCollector"
PLACEHOLDER: Final = "${trialParameters."
KEPT_VOLUMES: Final = ("configMap", "secret", "emptyDir")


def preflight(site: Site, document: Mapping[str, Any]) -> list[Problem]:
    """Why no trial can run here, and as warnings what of the template has no effect here.

    `document` is the template as JSON types with its placeholders left in; what depends on one is not looked at.
    """
    pod = find_pod(document, site.template)
    if misshapen := _misshapen(site, document, pod):
        return misshapen
    problems, demand = _errors(site, document)
    found = [problem for problem in problems if PLACEHOLDER not in problem.message]
    if pod is not None:
        impossible = refuse_impossible(demand, machine())
        found += [replace(problem, path=f"{TEMPLATE}.{pod.path}.{problem.path}") for problem in impossible]
        found += [Problem(f"{TEMPLATE}.{path}", words, "warning") for path, words in _notices(pod)]
    if demand.port is not None:
        words = f"is {demand.port} for every trial, so only one trial runs at a time here"
        found.append(Problem("spec.metricsCollectorSpec.source.httpGet.port", words, "warning"))
    return found


def _misshapen(site: Site, document: Mapping[str, Any], pod: LocalPod | None) -> list[Problem]:
    problems = [replace(each, path=f"{TEMPLATE}.{each.path}") for each in run_problems(document, pod)]
    collector = site.experiment.spec.metrics_collector_spec
    if site.kind is CollectorKind.CUSTOM and collector is not None and collector.collector is not None:
        problems += container_problems(collector.collector.custom_collector or {}, CUSTOM)
    return problems


def _errors(site: Site, document: Mapping[str, Any]) -> tuple[list[Problem], Demand]:
    folder = run_folder(site.runs, site.owner, "preflight", 0)
    program, found = build_program(site, document, folder, {})
    problems = [replace(each, path=f"{TEMPLATE}.{each.path}".rstrip(".")) for each in found]
    if site.kind is CollectorKind.CUSTOM:
        problems += build_collector(site, document, folder, {})[1]
    return problems, program.demand


def _notices(pod: LocalPod) -> Iterator[tuple[str, str]]:
    image = pod.container.get("image")
    if image:
        yield f"{pod.path}.image", f"{show(image)} is not used: the command runs with the programs of this machine"
    resources = pod.container.get("resources") or {}
    for group in ("requests", "limits"):
        for resource in resources.get(group) or {}:
            if resource not in {"cpu", GPU}:
                yield f"{pod.path}.resources.{group}.{resource}", "is not enforced here"
    owner = pod.path.rpartition(".")[0]
    others = [str(other.get("name")) for other in pod.spec.get("containers") or [] if other is not pod.container]
    others += [str(other.get("name")) for other in pod.spec.get("initContainers") or []]
    if others:
        yield owner, f"the containers {', '.join(others)} are not run here, only the primary one"
    for volume in pod.spec.get("volumes") or []:
        if not any(kind in volume for kind in KEPT_VOLUMES):
            yield f"{owner}.volumes", f"{show(volume.get('name'))} is an empty folder of its own for every run here"
