"""What an Experiment may use beyond Katib's protocol, and what a service that understands it announces."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from katib_py.core.errors import Problem
from katib_py.core.experiment import ExperimentSpec

CONDITIONS: Final = "parameter-conditions"
CONSTRAINTS: Final = "parameter-constraints"
INITIAL: Final = "initial-assignments"
WARM_START: Final = "warm-start"
OBJECTIVES: Final = "objectives"
OUTCOMES: Final = "outcome-constraints"

# The feature by the key of spec that needs it.
FEATURES: Final[Mapping[str, str]] = {
    "parameterConditions": CONDITIONS,
    "parameterConstraints": CONSTRAINTS,
    "initialAssignments": INITIAL,
    "warmStart": WARM_START,
    "objectives": OBJECTIVES,
    "outcomeConstraints": OUTCOMES,
}


def not_understood(spec: ExperimentSpec, announced: Collection[str]) -> Iterator[Problem]:
    """The keys of the spec that a service with these features would pass over."""
    algorithm = spec.algorithm.algorithm_name if spec.algorithm is not None else ""
    written = spec.dump()
    for key, feature in FEATURES.items():
        if written.get(key) and feature not in announced:
            words = f"is not understood by the algorithm {algorithm}: its service does not announce {feature!r}"
            yield Problem(f"spec.{key}", words)
