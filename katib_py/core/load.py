"""A document to an Experiment that can be run: parse, default and validate in one call."""

from __future__ import annotations

from dataclasses import dataclass, replace

from katib_py.core.defaults import default
from katib_py.core.errors import InvalidInput, Problem
from katib_py.core.experiment import Experiment
from katib_py.core.parse import Unknown, parse_experiment
from katib_py.core.validate import NO_CHECKS, Checks, validate


@dataclass(frozen=True, slots=True)
class Loaded:
    """An experiment with its defaults, found sound, and what its author should know nevertheless."""

    experiment: Experiment
    warnings: tuple[Problem, ...]


def load_experiment(document: object, checks: Checks = NO_CHECKS, unknown: Unknown = Unknown.KEPT) -> Loaded:
    """The experiment that the document describes; `unknown` says which unknown fields are errors.

    Raises InvalidInput with every problem, the warnings among them.
    """
    parsed = parse_experiment(document, unknown)
    experiment = default(parsed.experiment)
    problems = (*parsed.problems, *validate(experiment, replace(checks, broken=parsed.broken)))
    if any(problem.severity == "error" for problem in problems):
        raise InvalidInput(problems)
    return Loaded(experiment, problems)
