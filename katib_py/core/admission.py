"""What becomes of an Experiment that somebody wants stored: repaired, defaulted, and refused with every reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from katib_py.core.defaults import default
from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.experiment import Experiment
from katib_py.core.json_patch import Operation, difference
from katib_py.core.parse import Parsed, parse_experiment
from katib_py.core.rebase import rebased
from katib_py.core.repair import repaired
from katib_py.core.validate import Checks, validate, validate_edit

GENERATED: Final = "bcdfg"  # stands for the suffix that the API server will give


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an object may be stored, what is to be changed of it, and what its author should know.

    `patch` is empty where there are `errors`.
    """

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    patch: list[Operation] = field(default_factory=list)

    @property
    def message(self) -> str:
        """Every error, a line each."""
        lines = [str(problem) for problem in self.errors]
        return lines[0] if len(lines) == 1 else "\n  ".join([f"{len(lines)} things stand in the way:", *lines])


def review(new: Any, old: Any, checks: Checks) -> Verdict:
    """The verdict on an Experiment as it came; `old` is the stored one that it is to replace, or None.

    Of an edit only what it makes wrong is reported: what is stored already may have been stored by somebody else, and
    must stay editable, and deletable.
    """
    if old is not None and _untouched(new, old):
        return Verdict(patch=rebased(new, old))
    try:
        parsed = parse_experiment(_named(repaired(new)))
        before = None if old is None else parse_experiment(repaired(old))
    except InvalidInput as error:
        return Verdict(error.problems)
    experiment = default(parsed.experiment)
    problems = _problems(parsed, experiment, checks)
    if before is not None:
        known = set(_problems(before, default(before.experiment), checks))
        problems = [*validate_edit(before.experiment, experiment), *(each for each in problems if each not in known)]
    errors, warnings = _sorted(problems)
    if errors:
        return Verdict(errors, warnings)
    wanted = _filled(repaired(new), parsed.experiment.dump(), experiment.dump())
    return Verdict((), warnings, [*rebased(new, old), *difference(new, wanted)])


def missing_defaults(document: Any) -> list[Operation]:
    """The patch that writes out every default of a stored Experiment; none for one that cannot be read."""
    try:
        read = parse_experiment(repaired(document)).experiment
    except InvalidInput:
        return []
    return difference(document, _filled(repaired(document), read.dump(), default(read).dump()))


def _untouched(new: Any, old: Any) -> bool:
    """Whether the object is on its way out, or only its metadata change."""
    if not isinstance(new, Mapping) or not isinstance(old, Mapping):
        return False
    metadata = new.get("metadata")
    leaving = isinstance(metadata, Mapping) and metadata.get("deletionTimestamp") is not None
    return leaving or new.get("spec") == old.get("spec")


def _named(document: Any) -> Any:
    """The document with a name such as the API server will make of generateName."""
    metadata = document.get("metadata") if isinstance(document, Mapping) else None
    if not isinstance(metadata, Mapping) or metadata.get("name") or not isinstance(metadata.get("generateName"), str):
        return document
    return {**document, "metadata": {**metadata, "name": metadata["generateName"] + GENERATED}}


def _problems(parsed: Parsed, experiment: Experiment, checks: Checks) -> list[Problem]:
    return [*parsed.problems, *validate(experiment, replace(checks, broken=parsed.broken))]


def _sorted(problems: Iterable[Problem]) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """The errors and the warnings."""
    found = tuple(problems)
    errors = tuple(problem for problem in found if problem.severity == "error")
    return errors, tuple(problem for problem in found if problem.severity != "error")


def _filled(raw: Any, before: Any, after: Any) -> Any:
    """What was written, with the defaults: whatever `after` has that `before`, which is `raw` as read, has not."""
    if before == after:
        return raw
    if isinstance(raw, dict) and isinstance(after, dict):
        read = before if isinstance(before, dict) else {}
        new = {key: value for key, value in after.items() if read.get(key) != value}
        return {**raw, **{key: _filled(raw.get(key), read.get(key), value) for key, value in new.items()}}
    if isinstance(raw, list) and isinstance(before, list) and isinstance(after, list) and len(raw) == len(before):
        items = zip(raw, before, after, strict=False)
        return [*(_filled(*item) for item in items), *after[len(raw) :]]
    return after
