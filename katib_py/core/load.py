"""A document to an Experiment that can be run: parse, default, validate, in one call for CLI, SDK and webhook."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from katib_py.core.defaults import default
from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.experiment import Experiment
from katib_py.core.parse import parse_experiment
from katib_py.core.validate import NO_CHECKS, Checks, validate

# A problem at a path of the left column says nothing new where a field of the right column could not be read.
FOLLOWS_FROM: Final = tuple(
    (re.compile(path), re.compile(source))
    for path, source in (
        (r"spec\.trialTemplate\.trialParameters\[\d+\]\.reference", r"spec\.parameters(\[\d+\](\.name)?)?"),
        (r"spec\.parameters\[\d+\]\.name", r"spec\.trialTemplate\.trialParameters(\[\d+\](\.reference)?)?"),
        (r"spec\.trialTemplate\.(trialSpec|configMap)", r"spec\.trialTemplate\.trialParameters(\[\d+\](\.name)?)?"),
        (r"spec\.trialTemplate\.(success|failure)Condition", r"spec\.trialTemplate\.(trialSpec|configMap)(\.kind)?"),
        (r"spec\.objective\.metricStrategies.*", r"spec\.objective\.(objectiveMetricName|additionalMetricNames.*)"),
    )
)


@dataclass(frozen=True, slots=True)
class Loaded:
    """An experiment with its defaults, found sound, and what its author should know nevertheless."""

    experiment: Experiment
    warnings: tuple[Problem, ...]


def load_experiment(document: object, checks: Checks = NO_CHECKS, strict: bool = False) -> Loaded:
    """The experiment that the document describes; `strict` makes unknown fields errors.

    Raises InvalidInput with every problem, the warnings among them.
    """
    parsed = parse_experiment(document, strict)
    experiment = default(parsed.experiment)
    found = [problem for problem in validate(experiment, checks) if not _follows(problem.path, parsed.broken)]
    problems = tuple(dict.fromkeys([*parsed.problems, *found]))
    if any(problem.severity == "error" for problem in problems):
        raise InvalidInput(problems)
    return Loaded(experiment, problems)


def _follows(path: str, broken: frozenset[str]) -> bool:
    """Whether a problem at this path says no more than that some field could not be read."""
    if any(path == other or path.startswith((f"{other}.", f"{other}[")) for other in broken):
        return True
    return any(left.fullmatch(path) and any(right.fullmatch(other) for other in broken) for left, right in FOLLOWS_FROM)
