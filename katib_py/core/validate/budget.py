"""The experiment's name and its budgets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from katib_py.core.errors import Problem, show
from katib_py.core.experiment import AlgorithmSpec, ExperimentSpec, Metadata, ResumePolicy
from katib_py.core.names import MAX_EXPERIMENT_NAME

NAME: Final = re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?")
NAMESPACE: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")


MOST_REPEATS: Final = 100
SELF_ENDING: Final = frozenset({"grid"})  # algorithms that run out of points
# Those that end with a schedule, and how often it is run where nothing is said; 0 is without end.
SCHEDULED: Final = {"hyperband": "1", "bohb": "0"}


def name_problems(metadata: Metadata) -> Iterator[Problem]:
    """The name becomes the prefix of trials' names and a label, so it is a short DNS label."""
    name, namespace = metadata.name, metadata.namespace
    if not NAME.fullmatch(name):
        found = f"is {show(name)}" if name else "is missing"
        yield Problem("metadata.name", f"{found}; must be a-z, 0-9 and -, beginning with a letter, not ending in -")
    if len(name) > MAX_EXPERIMENT_NAME:
        yield Problem("metadata.name", f"has {len(name)} characters; must have at most {MAX_EXPERIMENT_NAME}")
    if not NAMESPACE.fullmatch(namespace):
        yield Problem(
            "metadata.namespace", f"is {show(namespace)}; must be at most 63 of a-z, 0-9 and -, - not at the ends"
        )


def budget_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    """Counts, durations and the resume policy."""
    patience = spec.stop_when.trials_without_improvement if spec.stop_when is not None else None
    for field, value, least in (
        ("parallelTrialCount", spec.parallel_trial_count, 1),
        ("maxTrialCount", spec.max_trial_count, 1),
        ("maxFailedTrialCount", spec.max_failed_trial_count, 0),
        ("maxDurationSeconds", spec.max_duration_seconds, 1),
        ("stopWhen.trialsWithoutImprovement", patience, 1),
    ):
        if value is not None and value < least:
            yield Problem(f"spec.{field}", f"is {value}; must be {least} or more")
    yield from _against_max(spec)
    yield from _confirm_problems(spec)
    policies = [policy.value for policy in ResumePolicy]
    if spec.resume_policy and spec.resume_policy not in policies:
        yield Problem("spec.resumePolicy", f"is {show(spec.resume_policy)}; must be one of {', '.join(policies)}")
    if not _ends(spec):
        yield Problem(
            "spec.maxTrialCount",
            "is missing, and so are maxDurationSeconds, stopWhen and a goal: nothing ends this experiment",
            "warning",
        )


def _confirm_problems(spec: ExperimentSpec) -> Iterator[Problem]:
    if spec.confirm is None:
        return
    for field, value in (("top", spec.confirm.top), ("repeats", spec.confirm.repeats)):
        if not 1 <= value <= MOST_REPEATS:
            yield Problem(f"spec.confirm.{field}", f"is {value}; must be 1 to {MOST_REPEATS}")
    if spec.objectives:
        yield Problem("spec.confirm", "stands beside objectives; what is confirmed is the best by one objective")


def _against_max(spec: ExperimentSpec) -> Iterator[Problem]:
    most = spec.max_trial_count
    for field, value in (
        ("parallelTrialCount", spec.parallel_trial_count),
        ("maxFailedTrialCount", spec.max_failed_trial_count),
    ):
        if most is not None and most > 0 and value is not None and value > most:
            yield Problem(f"spec.{field}", f"is {value}; must not exceed maxTrialCount, {most}")


def _ends(spec: ExperimentSpec) -> bool:
    patience = spec.stop_when.trials_without_improvement if spec.stop_when is not None else None
    has_goal = spec.objective is not None and spec.objective.goal is not None
    return (
        has_goal
        or _ends_itself(spec.algorithm)
        or any(limit is not None for limit in (spec.max_trial_count, spec.max_duration_seconds, patience))
    )


def _ends_itself(algorithm: AlgorithmSpec | None) -> bool:
    if algorithm is None:
        return False
    name = algorithm.algorithm_name
    return name in SELF_ENDING or (name in SCHEDULED and algorithm.settings().get("cycles", SCHEDULED[name]) != "0")
