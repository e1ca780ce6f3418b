"""A trial template and an assignment to a run object."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from katib_py.core.documents import plain_scalar, read_with
from katib_py.core.errors import InvalidInput, Problem, RenderError, listed, show
from katib_py.core.experiment import Experiment, TrialTemplate

# A template's text by (namespace, name) of its ConfigMap, then by key.
ConfigMaps = Mapping[tuple[str, str], Mapping[str, str]]

PATH: Final = "spec.trialTemplate"
PLACEHOLDER: Final = re.compile(r"\$\{trialParameters\.([^{}]+)\}")
METADATA: Final = re.compile(r"\$\{trialSpec\.([^{}]+)\}")
INDEXED: Final = re.compile(r"(.+)\[(.+)\]")

Values = Mapping[str, str]
NOTHING: Final[Values] = MappingProxyType({})
Maker = Callable[[Values], Any]


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar of the template that holds placeholders: literal text and, at odd places, parameter names.

    `plain`: it stood unquoted in YAML, so what it becomes is read as YAML: a number, a boolean, null or text.
    """

    parts: tuple[str, ...]
    plain: bool = False

    def fill(self, values: Values) -> Any:
        """The scalar with its placeholders replaced; raises KeyError for a name without a value."""
        parts = list(self.parts)
        for index in range(1, len(parts), 2):
            parts[index] = values[parts[index]]
        text = "".join(parts)
        return plain_scalar(text) if self.plain else text

    def written(self) -> str:
        """The scalar as the user wrote it."""
        return "".join(f"${{trialParameters.{part}}}" if index % 2 else part for index, part in enumerate(self.parts))


@dataclass(frozen=True, slots=True)
class Source:
    """A template as read: JSON types with `Text` where placeholders are; keys are pairs too."""

    tree: Mapping[str | Text, Any]

    def names(self) -> dict[str, None]:
        """The parameter names in placeholders, in the order in which they stand."""
        return dict.fromkeys(
            name for text in _scalars(self.tree) if isinstance(text, Text) for name in text.parts[1::2]
        )

    def literals(self) -> Iterable[str]:
        """Every piece of text outside placeholders."""
        for scalar in _scalars(self.tree):
            yield from scalar.parts[::2] if isinstance(scalar, Text) else (scalar,)

    def plainly(self) -> dict[str, Any]:
        """The template as JSON types, its placeholders as they were written."""
        tree: dict[str, Any] = _written(self.tree)
        return tree


class Template:
    """A trial template made ready: rendering only fills its placeholders in. `kind` is that of its run objects."""

    def __init__(
        self, source: Source, metadata: Mapping[str, Text], references: Values, absent: Values = NOTHING
    ) -> None:
        self.kind = str(source.plainly().get("kind", ""))
        self._make = _maker(source.tree)
        self._metadata = metadata  # trial parameter → text over the trial's Name and Namespace
        self._references = references  # trial parameter → parameter of the search space
        self._expected = frozenset(references.values())
        self._absent = absent  # parameter of the search space that may be inactive → what stands in its place then

    def render(self, name: str, namespace: str, assignments: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """The run object of the trial; raises RenderError where the assignment does not fit the template."""
        assigned = {**self._absent, **dict(assignments)}
        if assigned.keys() != self._expected:
            raise RenderError(_misfit(assigned, self._expected))
        trial = {"Name": name, "Namespace": namespace}
        values = {parameter: text.fill(trial) for parameter, text in self._metadata.items()}
        values.update((parameter, assigned[reference]) for parameter, reference in self._references.items())
        try:
            run: dict[str, Any] = self._make(values)
        except KeyError as error:
            raise RenderError(f"the placeholder ${{trialParameters.{error.args[0]}}} is not declared") from None
        except ValueError as error:
            raise RenderError(f"trial {name}: {error}") from None
        metadata = run.get("metadata")
        run["metadata"] = {**(metadata if isinstance(metadata, dict) else {}), "name": name, "namespace": namespace}
        return run


def compile_template(experiment: Experiment, config_maps: ConfigMaps | None = None) -> Template:
    """The experiment's template, ready to render; raises InvalidInput where it cannot be read."""
    template = experiment.spec.trial_template
    if template is None:
        raise InvalidInput([Problem(PATH, "is missing")])
    source = read_source(template, config_maps)
    run = source.plainly()
    metadata: dict[str, Text] = {}
    references: dict[str, str] = {}
    problems = []
    for index, parameter in enumerate(template.trial_parameters or ()):
        try:
            text = metadata_text(parameter.reference, run)
        except LookupError as error:
            problems.append(Problem(f"{PATH}.trialParameters[{index}].reference", str(error.args[0])))
            continue
        if text is None:
            references[parameter.name] = parameter.reference
        else:
            metadata[parameter.name] = text
    if problems:
        raise InvalidInput(problems)
    absent = {name: condition.default for name, condition in experiment.spec.parameter_conditions.items()}
    return Template(source, metadata, references, absent)


def metadata_text(reference: str, run: Mapping[str, Any]) -> Text | None:
    """A reference to the trial's metadata as text over its Name and Namespace; None for any other reference.

    `run` is the template as JSON types. Raises LookupError, its argument in the user's words, for a key that the
    template does not have.
    """
    literals = METADATA.split(reference)
    if len(literals) == 1:
        return None
    parts = [literals[0]]
    for key, literal in zip(literals[1::2], literals[2::2], strict=True):
        value = _metadata_value(key, run)
        if isinstance(value, str):
            parts[-1] += value + literal
        else:
            parts += [value.name, literal]
    return Text(tuple(parts))


def read_source(template: TrialTemplate, config_maps: ConfigMaps | None = None) -> Source:
    """The template's tree from either of its sources; raises InvalidInput."""
    if template.trial_spec is not None:
        return Source(_split_tree(template.trial_spec))
    if template.config_map is None:
        raise InvalidInput([Problem(f"{PATH}.trialSpec", "is missing, and so is configMap; give one of them")])
    where = template.config_map
    path = f"{PATH}.configMap"
    data = (config_maps or {}).get((where.config_map_namespace, where.config_map_name))
    if data is None:
        wanted = f"{where.config_map_namespace}/{where.config_map_name}"
        raise InvalidInput([Problem(path, f"names the ConfigMap {wanted}, which does not exist")])
    text = data.get(where.template_path)
    if not isinstance(text, str):
        keys = listed(data) or "nothing"
        raise InvalidInput(
            [Problem(f"{path}.templatePath", f"is {show(where.template_path)}; the ConfigMap has {keys}")]
        )
    return Source(_read_yaml(text, path))


def _read_yaml(text: str, path: str) -> Mapping[str | Text, Any]:
    """The first document. Placeholders are hidden in plain words, because `{` would end an unquoted scalar."""
    names: list[str] = []
    word = "KatibPlaceholder"
    while word in text:
        word += "Q"

    def hide(match: re.Match[str]) -> str:
        names.append(match[1])
        return f"{word}{len(names) - 1}Z"

    hidden = PLACEHOLDER.sub(hide, text)
    token = re.compile(rf"{word}(\d+)Z")

    def split(scalar: str, plain: bool) -> Any:
        parts = token.split(scalar)
        if len(parts) == 1:
            return plain_scalar(scalar) if plain else scalar
        parts[1::2] = [names[int(number)] for number in parts[1::2]]
        return Text(tuple(parts), plain)

    try:
        tree = read_with(hidden, split)
    except InvalidInput as error:
        raise InvalidInput([Problem(path, f"the template: {problem.message}") for problem in error.problems]) from None
    if not isinstance(tree, dict):
        raise InvalidInput([Problem(path, "the template is no mapping; it must be an object with a kind")])
    keyed: dict[str | Text, Any] = _split_keys(tree, lambda key: split(key, False))
    return keyed


def _split_tree(tree: Any) -> Any:
    match tree:
        case str():
            parts = PLACEHOLDER.split(tree)
            return Text(tuple(parts)) if len(parts) > 1 else tree
        case dict():
            return {_split_tree(key): _split_tree(value) for key, value in tree.items()}
        case list():
            return [_split_tree(item) for item in tree]
    return tree


def _split_keys(tree: Any, split: Callable[[str], Any]) -> Any:
    match tree:
        case dict():
            return {split(key): _split_keys(value, split) for key, value in tree.items()}
        case list():
            return [_split_keys(item, split) for item in tree]
    return tree


def _scalars(tree: Any) -> Iterator[Text | str]:
    match tree:
        case Text() | str():
            yield tree
        case Mapping():
            for key, value in tree.items():
                yield from _scalars(key)
                yield from _scalars(value)
        case list():
            for item in tree:
                yield from _scalars(item)


def _written(tree: Any) -> Any:
    match tree:
        case Text():
            return tree.written()
        case Mapping():
            return {_written(key): _written(value) for key, value in tree.items()}
        case list():
            return [_written(item) for item in tree]
    return tree


def _maker(tree: Any) -> Maker:
    """The function that builds a fresh copy of the tree with the placeholders filled in."""
    match tree:
        case Text():
            return tree.fill
        case Mapping():
            items = [(_maker(key), _maker(value)) for key, value in tree.items()]
            return lambda values: {key(values): value(values) for key, value in items}
        case list():
            makers = [_maker(item) for item in tree]
            return lambda values: [make(values) for make in makers]
    return lambda _: tree


class OfTrial(NamedTuple):
    """A part of a reference that is known when there is a trial: its Name or Namespace."""

    name: str


def _metadata_value(key: str, run: Mapping[str, Any]) -> str | OfTrial:
    match = INDEXED.fullmatch(key)
    head, index = (match[1], match[2]) if match else (key, "")
    match head:
        case "Name" | "Namespace":
            return OfTrial(head)
        case "Kind":
            return str(run.get("kind", ""))
        case "APIVersion":
            return str(run.get("apiVersion", ""))
        case "Labels" | "Annotations":
            return _entry(head, index, run.get("metadata"))
    keys = "Name, Namespace, Kind, APIVersion, Labels[key], Annotations[key]"
    raise LookupError(f"is ${{trialSpec.{key}}}; trialSpec has {keys}")


def _entry(head: str, index: str, metadata: Any) -> str:
    word = head.lower()
    entries = metadata.get(word) if isinstance(metadata, dict) else None
    known = entries if isinstance(entries, dict) else {}
    if index not in known:
        names = listed(known) or f"no {word}"
        wanted = f"names {show(index)}" if index else f"needs a key, as in ${{trialSpec.{head}[key]}}"
        raise LookupError(f"{wanted}; the template's metadata has {names}")
    return str(known[index])


def _misfit(assigned: Values, expected: frozenset[str]) -> str:
    missing = listed(sorted(expected - assigned.keys()))
    extra = listed(sorted(assigned.keys() - expected))
    parts = [f"the assignment lacks {missing}, to which trialParameters refer"] if missing else []
    parts += [f"no trialParameters entry refers to {extra} of the assignment"] if extra else []
    return "; ".join(parts)
