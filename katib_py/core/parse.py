"""A document to an Experiment: every mistake of type found at once, in the user's own words."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar, get_args, get_origin

from pydantic import ValidationError

from katib_py.core.errors import MANY, InvalidInput, Problem, limited, show
from katib_py.core.experiment import Experiment, ExperimentSpec, HttpGet, Metadata, StopWhen
from katib_py.core.json_types import as_json
from katib_py.core.models import Model
from katib_py.core.names import API_VERSION

M = TypeVar("M", bound=Model)
Kept = Mapping[type[Model], frozenset[str]]

# Fields of Kubernetes that katib-py keeps and does not look into.
KEPT: Final[Kept] = {
    Metadata: frozenset(
        {
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "finalizers",
            "generateName",
            "generation",
            "managedFields",
            "ownerReferences",
            "resourceVersion",
            "selfLink",
        }
    ),
    HttpGet: frozenset({"httpHeaders"}),
}

# Without one of these an experiment may never end, or take the whole machine.
BUDGETS: Final[dict[type[Model], frozenset[str]]] = {
    ExperimentSpec: frozenset(
        {"parallelTrialCount", "maxTrialCount", "maxFailedTrialCount", "maxDurationSeconds", "stopWhen"}
    ),
    StopWhen: frozenset({"trialsWithoutImprovement"}),
}

MAX_WORD: Final = 64
MAX_KNOWN: Final = 200


class Unknown(Enum):
    """What unknown fields are: warnings, errors where they look like a budget that is absent, or errors always."""

    KEPT = "kept"
    NO_SLIPS = "no slips"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parsed:
    """An Experiment without the fields named in `problems`, and those problems."""

    experiment: Experiment
    problems: tuple[Problem, ...]

    @property
    def broken(self) -> frozenset[str]:
        """The paths of the fields that could not be read."""
        return frozenset(problem.path for problem in self.problems if problem.severity == "error")


def parse_experiment(document: object, unknown: Unknown = Unknown.KEPT) -> Parsed:
    """The Experiment that the document describes, as far as it can be read.

    Raises InvalidInput for a document that is no Experiment at all.
    """
    value, problems = as_json(document)
    if not isinstance(value, dict):
        raise InvalidInput(
            [Problem("", f"is {_kind(value)}; an Experiment is a mapping with apiVersion, kind and spec")]
        )
    wrong = [*_wrong_type(value)]
    if wrong:
        raise InvalidInput(wrong)
    experiment, found = read_model(Experiment, value, unknown)
    return Parsed(experiment, (*problems, *found))


def read_model(
    model: type[M], value: dict[str, Any], unknown: Unknown = Unknown.KEPT, kept: Kept = KEPT
) -> tuple[M, list[Problem]]:
    """The model as far as `value` can be read, which loses what cannot; and a problem for each such field.

    Unknown fields are among the problems, but for those that `kept` names.
    """
    problems = []
    strangers = list(islice(_strangers(model, value, "", (unknown, kept)), MANY))
    while True:
        try:
            read = model.model_validate(value)
        except ValidationError as error:
            problems.extend(_prune(value, error))
        else:
            return read, [*problems, *strangers]


def nearest(word: str, known: Sequence[str]) -> str | None:
    """The known name that the word was probably meant to be."""
    if len(word) > MAX_WORD or len(known) > MAX_KNOWN:
        return None  # the comparison is slow, and such a name is no slip of the pen
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", ""), by_lower, 1, 0.7)
    return by_lower[close[0]] if close else None


def _wrong_type(value: dict[str, Any]) -> Iterator[Problem]:
    for field, right in (("apiVersion", API_VERSION), ("kind", "Experiment")):
        if value.get(field) != right:
            found = f"is {show(value[field])}" if value.get(field) is not None else "is missing"
            yield Problem(field, f"{found}; must be {right}")


def _prune(value: dict[str, Any], error: ValidationError) -> list[Problem]:
    """Take the offending values out, so that the rest can be read; a problem for each."""
    details = error.errors(include_url=False)
    found = {_path(steps): (steps, detail) for detail in reversed(details) if (steps := _steps(value, detail["loc"]))}
    if not found:
        raise InvalidInput([Problem("", str(detail["msg"])) for detail in details])
    taken = [(steps, detail, _take_out(value, steps, detail["type"])) for steps, detail in reversed(found.values())]
    return list(limited(Problem(_path(steps), _words(detail, offender)) for steps, detail, offender in taken))


def _take_out(value: Any, steps: Sequence[str | int], kind: str) -> Any:
    """The offending value, which the document does not have any more."""
    *way, last = steps
    for step in way:
        value = value[step]
    offender = value[last]
    if isinstance(value, dict):
        del value[last]
    else:
        # The others keep their index; what the stand-in lacks is not reported again.
        value[last] = {} if kind.startswith(("model", "dict")) else ""
    return offender


def _steps(value: Any, location: tuple[str | int, ...]) -> list[str | int]:
    """The part of pydantic's location that exists in the document: unions add steps of their own."""
    steps: list[str | int] = []
    for step in location:
        in_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if not in_list and not (isinstance(value, dict) and step in value):
            break
        value = value[step]
        steps.append(step)
    return steps


def _path(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _words(detail: Any, found: Any) -> str:
    shown = f"is {_kind(found)}"
    kind = detail["type"]
    if kind == "enum":
        names = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
        meant = nearest(found, names) if isinstance(found, str) else None
        return f"{shown}; must be one of {', '.join(names)}" + (f": did you mean {meant!r}?" if meant else "")
    if kind.startswith("string"):
        hint = f': write "{_yaml(found)}"' if isinstance(found, bool | int | float) else ""
        return f"{shown}; must be text{hint}"
    if kind.startswith("int"):
        return f"{shown}; must be a whole number{_unquoted(found, int)}"
    if kind in {"greater_than_equal", "less_than"}:
        return f"{shown}; must be a whole number of at most 32 bits"
    if kind.startswith("float"):
        return f"{shown}; must be a number{_unquoted(found, float)}"
    if kind.startswith("bool"):
        return f"{shown}; must be true or false"
    wanted = "a list" if kind.startswith(("tuple", "list")) else "a mapping"
    return f"{shown}; must be {wanted}"


def _unquoted(found: Any, kind: type[int] | type[float]) -> str:
    """What to write where a number was put in quotes, or as a decimal fraction."""
    try:
        number = kind(found) if isinstance(found, str) else int(found)
    except (ValueError, TypeError, OverflowError):
        return ""
    return f": write {number}"


def _kind(found: Any) -> str:
    match found:
        case None:
            return "null"
        case bool() | int() | float():
            return _yaml(found)
        case dict():
            return "a mapping"
        case list():
            return "a list"
    return show(found)


def _yaml(found: bool | float) -> str:
    return str(found).lower() if isinstance(found, bool) else str(found)


def _strangers(model: type[Model], value: Any, path: str, rules: tuple[Unknown, Kept]) -> Iterator[Problem]:
    """The unknown fields of a mapping and of those in it."""
    if not isinstance(value, dict):
        return
    unknown, kept = rules
    fields = _fields(model)
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        if key in fields:
            for place, part in _parts(fields[key], item):
                yield from _strangers(place.model, part, f"{where}{place.step}", rules)
        elif key not in kept.get(model, ()):
            meant = nearest(key, list(fields))
            slip = meant in BUDGETS.get(model, ()) and value.get(meant) is None
            refused = unknown is Unknown.REFUSED or (slip and unknown is Unknown.NO_SLIPS)
            absent = f", and {meant} is missing" if slip else ""
            hint = f"; did you mean {meant}?" if meant else ""
            yield Problem(where, f"is not a known field{absent}{hint}", "error" if refused else "warning")


class _Place(NamedTuple):
    """A value that has a model, and how to get to it from its field."""

    model: type[Model]
    step: str


def _parts(field: tuple[type[Model], bool] | None, item: Any) -> Iterator[tuple[_Place, Any]]:
    """The values in a field that have a model: itself, its items, or its values by name."""
    if field is None:
        return
    model, by_name = field
    if by_name:
        for name, part in item.items() if isinstance(item, dict) else ():
            yield _Place(model, f".{name}"), part
    elif isinstance(item, list):
        for index, part in enumerate(item):
            yield _Place(model, f"[{index}]"), part
    else:
        yield _Place(model, ""), item


@cache
def _fields(model: type[Model]) -> dict[str, tuple[type[Model], bool] | None]:
    """The fields as the user writes them, each with the model of what is in it, and whether that goes by name."""
    found = {}
    for name, info in model.model_fields.items():
        inner = _model_in(info.annotation)
        found[info.alias or name] = (inner, get_origin(info.annotation) is dict) if inner is not None else None
    return found


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
