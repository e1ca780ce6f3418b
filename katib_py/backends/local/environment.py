"""A container's environment and arguments, as Kubernetes would hand them to it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from katib_py.backends.local.configs import CONFIG_MAP, SECRET, Configs
from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.quantity import quantity

ENV_RUN: Final = "KATIB_RUN"  # the run's folder, in the environment of everything that the run starts
# The same folder name may be used by an experiment in another database: what is a run's is known by both.
ENV_EXPERIMENT_UID: Final = "KATIB_EXPERIMENT_UID"

_REFERENCE: Final = re.compile(r"\$\$|\$\(([A-Za-z_][-A-Za-z0-9_.]*)\)")
_FIELD: Final = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")
_KEY_SOURCES: Final = {"configMapKeyRef": CONFIG_MAP, "secretKeyRef": SECRET}
_ALL_SOURCES: Final = {"configMapRef": CONFIG_MAP, "secretRef": SECRET}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a container's environment may refer to: the pod's metadata and the given ConfigMaps and Secrets."""

    metadata: Mapping[str, Any]
    configs: Configs


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Kubernetes' `$(NAME)`: `$$` is a dollar, a name that is not there stays as it is written."""
    if "$" not in text:
        return text

    def value(match: re.Match[str]) -> str:
        name = match[1]
        return "$" if name is None else variables.get(name, match[0])

    return _REFERENCE.sub(value, text)


def environment(container: Mapping[str, Any], around: Surroundings) -> dict[str, str]:
    """The container's own variables, envFrom first; raises InvalidInput with everything that cannot be resolved."""
    variables: dict[str, str] = {}
    problems: list[Problem] = []
    for number, entry in enumerate(_list(container.get("envFrom"))):
        problems += _take_all(entry, f"envFrom[{number}]", around, variables)
    for number, entry in enumerate(_list(container.get("env"))):
        path, name = f"env[{number}]", str(entry.get("name", ""))
        source = entry.get("valueFrom")
        if source is None:
            variables[name] = expand(_text(entry.get("value", "")), variables)
            continue
        try:
            value = _resolve(source, container, around)
        except InvalidInput as error:
            problems += [Problem(f"{path}.valueFrom.{each.path}", each.message) for each in error.problems]
            continue
        if value is not None:
            variables[name] = value
    if problems:
        raise InvalidInput(problems)
    return variables


def _take_all(
    entry: Mapping[str, Any], path: str, around: Surroundings, variables: dict[str, str]
) -> Iterator[Problem]:
    for source, kind in _ALL_SOURCES.items():
        reference = entry.get(source)
        if reference is None:
            continue
        content = around.configs.get(kind, str(reference.get("name", "")))
        if content is not None:
            prefix = str(entry.get("prefix", ""))
            variables.update((prefix + key, value.decode(errors="replace")) for key, value in content.items())
        elif not reference.get("optional"):
            yield Problem(f"{path}.{source}.name", _missing(kind, reference.get("name")))


def _resolve(source: Mapping[str, Any], container: Mapping[str, Any], around: Surroundings) -> str | None:
    """The value; None where an optional one is absent. Raises InvalidInput, paths below valueFrom."""
    for name, kind in _KEY_SOURCES.items():
        if (reference := source.get(name)) is not None:
            return _key(reference, name, kind, around.configs)
    if (reference := source.get("fieldRef")) is not None:
        return _field(str(reference.get("fieldPath", "")), around.metadata)
    if (reference := source.get("resourceFieldRef")) is not None:
        return _resource(reference, container)
    known = "configMapKeyRef, secretKeyRef, fieldRef or resourceFieldRef"
    raise InvalidInput([Problem("", f"is {show(dict(source))}; must be one of {known}")])


def _key(reference: Mapping[str, Any], source: str, kind: str, configs: Configs) -> str | None:
    name, key = str(reference.get("name", "")), str(reference.get("key", ""))
    content = configs.get(kind, name)
    if content is not None and key in content:
        return content[key].decode(errors="replace")
    if reference.get("optional"):
        return None
    if content is None:
        raise InvalidInput([Problem(f"{source}.name", _missing(kind, name))])
    keys = ", ".join(sorted(content)) or "none"
    raise InvalidInput([Problem(f"{source}.key", f"is {show(key)}; the {kind} {name} has the keys {keys}")])


def _missing(kind: str, name: Any) -> str:
    return f"is {show(name)}; put that {kind} as a further document into the Experiment's file"


def _field(path: str, metadata: Mapping[str, Any]) -> str:
    if path in {"metadata.name", "metadata.namespace", "metadata.uid"}:
        return str(metadata.get(path.removeprefix("metadata."), ""))
    if (match := _FIELD.fullmatch(path)) is not None:
        return str((metadata.get(match[1]) or {}).get(match[2], ""))
    known = "metadata.name, .namespace, .uid, .labels['KEY'] and .annotations['KEY']"
    raise InvalidInput([Problem("fieldRef.fieldPath", f"is {show(path)}; a local run knows {known}")])


def _resource(reference: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """A request or limit in units of the divisor, rounded up as Kubernetes does."""
    path = str(reference.get("resource", ""))
    group, _, resource = path.partition(".")
    given = ((container.get("resources") or {}).get(group) or {}).get(resource)
    if given is None:
        problem = f"is {show(path)}; the container's resources do not name it"
        raise InvalidInput([Problem("resourceFieldRef.resource", problem)])
    divisor = quantity(reference.get("divisor") or "1") or 1
    return str(math.ceil(quantity(given) / divisor))


def _list(value: Any) -> Sequence[Mapping[str, Any]]:
    return value if isinstance(value, list) else ()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)
