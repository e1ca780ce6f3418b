"""The trial template: its source, its placeholders and what the run object needs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from katib_py.core import conditions
from katib_py.core.errors import InvalidInput, Problem, listed, show
from katib_py.core.experiment import ExperimentSpec, TrialParameter, TrialTemplate
from katib_py.core.kinds import KINDS
from katib_py.core.parse import nearest
from katib_py.core.pods import pods, primary_pod
from katib_py.core.template import METADATA, ConfigMaps, Source, metadata_text, read_source
from katib_py.core.validate.job import job_problems

PATH: Final = "spec.trialTemplate"
LEFT_OVER: Final = re.compile(r"\$\{trial(?:Parameters|Spec)\.[^{}]*\}?")


def template_problems(spec: ExperimentSpec, config_maps: ConfigMaps | None) -> Iterator[Problem]:
    """Everything about spec.trialTemplate; a ConfigMap's text is looked at only where ConfigMaps are given."""
    template = spec.trial_template
    if template is None:
        yield Problem(PATH, "is missing; it says what a trial runs")
        return
    if not template.primary_container_name:
        yield Problem(f"{PATH}.primaryContainerName", "is missing; must be the container that trains")
    yield from _condition_problems(template)
    yield from _parameter_problems(template)
    yield from _reference_problems(spec, template)
    sources = list(_source_problems(template))
    yield from sources
    if sources or (template.config_map is not None and config_maps is None):
        return
    try:
        source = read_source(template, config_maps)
    except InvalidInput as error:
        yield from error.problems
        return
    yield from _content_problems(template, source)


def _condition_problems(template: TrialTemplate) -> Iterator[Problem]:
    for field, expression in (
        ("successCondition", template.success_condition),
        ("failureCondition", template.failure_condition),
    ):
        path = f"{PATH}.{field}"
        if not expression:
            what = "a template of a ConfigMap" if template.config_map is not None else "the kind of the run"
            yield Problem(path, f"is missing, and {what} has no default: give successCondition and failureCondition")
        elif (complaint := conditions.check(expression)) is not None:
            yield Problem(path, f"is {show(expression)}: {complaint}")


def _source_problems(template: TrialTemplate) -> Iterator[Problem]:
    where = template.config_map
    if template.trial_spec is None and where is None:
        yield Problem(f"{PATH}.trialSpec", "is missing, and so is configMap; give one of them")
    elif template.trial_spec is not None and where is not None:
        yield Problem(f"{PATH}.configMap", "stands beside trialSpec; give one of them")
    elif where is not None:
        for field, text in (
            ("configMapName", where.config_map_name),
            ("configMapNamespace", where.config_map_namespace),
            ("templatePath", where.template_path),
        ):
            if not text:
                yield Problem(f"{PATH}.configMap.{field}", "is missing")


def _parameter_problems(template: TrialTemplate) -> Iterator[Problem]:
    path = f"{PATH}.trialParameters"
    if template.trial_parameters is None:
        yield Problem(path, "is missing; it says which placeholder takes which parameter")
    names: set[str] = set()
    references: set[str] = set()
    for index, parameter in enumerate(template.trial_parameters or ()):
        yield from _entry_problems(parameter, f"{path}[{index}]", names, references)
        names.add(parameter.name)
        references.add(parameter.reference)


def _entry_problems(parameter: TrialParameter, where: str, names: set[str], references: set[str]) -> Iterator[Problem]:
    name, reference = parameter.name, parameter.reference
    if not name:
        yield Problem(f"{where}.name", "is missing; must be the name of a placeholder")
    elif "{" in name or "}" in name:
        yield Problem(f"{where}.name", f"is {show(name)}; must not contain braces")
    elif name in names:
        yield Problem(f"{where}.name", f"is {show(name)}, which stands above already")
    if not reference:
        yield Problem(f"{where}.reference", "is missing; must name a parameter or ${trialSpec.…}")
    elif reference in references:
        yield Problem(f"{where}.reference", f"is {show(reference)}, to which an entry above refers already")


def _reference_problems(spec: ExperimentSpec, template: TrialTemplate) -> Iterator[Problem]:
    """Every reference has a parameter and every parameter a reference; an architecture's are its algorithm's."""
    if not spec.parameters or spec.nas_config is not None:
        return
    known = list(dict.fromkeys(parameter.name for parameter in spec.parameters if parameter.name))
    referred = set()
    for index, entry in enumerate(template.trial_parameters or ()):
        if not entry.reference or METADATA.search(entry.reference):
            continue
        referred.add(entry.reference)
        if entry.reference not in known:
            meant = nearest(entry.reference, known)
            hint = f": did you mean {meant}?" if meant else ""
            yield Problem(
                f"{PATH}.trialParameters[{index}].reference",
                f"is {show(entry.reference)}; must be a parameter ({listed(known)}) or ${{trialSpec.…}}{hint}",
            )
    for index, parameter in enumerate(spec.parameters if template.trial_parameters is not None else ()):
        if parameter.name and parameter.name not in referred:
            referred.add(parameter.name)
            yield Problem(
                f"spec.parameters[{index}].name",
                f"is {show(parameter.name)}, to which no entry of trialParameters refers: the trial would not see it",
            )


def _content_problems(template: TrialTemplate, source: Source) -> Iterator[Problem]:
    run = source.plainly()
    where = f"{PATH}.trialSpec" if template.trial_spec is not None else f"{PATH}.configMap"
    yield from _placeholder_problems(template, source, where)
    for index, parameter in enumerate(template.trial_parameters or ()):
        try:
            metadata_text(parameter.reference, run)
        except LookupError as error:
            yield Problem(f"{PATH}.trialParameters[{index}].reference", str(error.args[0]))
    for field in ("apiVersion", "kind"):
        if not isinstance(run.get(field), str) or not run[field]:
            yield Problem(f"{where}.{field}", f"is {show(run.get(field))}; must be the {field} of the object to run")
    metadata = run.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        yield Problem(f"{where}.metadata", f"is {show(metadata)}; must be a mapping")
    for field in ("name", "namespace"):
        if isinstance(metadata, dict) and field in metadata:
            yield Problem(f"{where}.metadata.{field}", "must not be set: each trial has its own")
    yield from _container_problems(template, run)
    if (run.get("apiVersion"), run.get("kind")) == ("batch/v1", "Job"):
        yield from job_problems(source.tree, where)


def _placeholder_problems(template: TrialTemplate, source: Source, where: str) -> Iterator[Problem]:
    declared = [parameter.name for parameter in template.trial_parameters or ()]
    used = source.names()
    for index, name in enumerate(declared):
        if name and name not in used and not {"{", "}"} & set(name):
            yield Problem(
                f"{PATH}.trialParameters[{index}].name",
                f"is {show(name)}, but ${{trialParameters.{name}}} does not occur in the template",
            )
    for name in used:
        if name not in declared:
            meant = nearest(name, declared)
            hint = f": did you mean {meant}?" if meant else ""
            yield Problem(where, f"has the placeholder ${{trialParameters.{name}}}, which trialParameters lacks{hint}")
    for text in source.literals():
        if (match := LEFT_OVER.search(text)) is not None:
            yield Problem(where, f"has {show(match.group())}, which is left as it is: no placeholder", "warning")


def _container_problems(template: TrialTemplate, run: Mapping[str, Any]) -> Iterator[Problem]:
    """The primary container must be there, where the run shows its containers: a TrainJob's come from its runtime."""
    found = pods(run)
    name, kind = template.primary_container_name, KINDS.get(str(run.get("kind")))
    if not name or not found or any(pod.place.name for pod in found) or (kind is not None and name in kind.added):
        return
    if primary_pod(run, template) is None:
        names = listed(dict.fromkeys(name for pod in found for name, _ in pod.containers()))
        yield Problem(
            f"{PATH}.primaryContainerName",
            f"is {show(template.primary_container_name)}; the template has the container {names}",
        )
