"""What of a stored Experiment may be changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from katib_py.core.defaults import default
from katib_py.core.errors import Problem, show
from katib_py.core.experiment import Experiment, ResumePolicy
from katib_py.core.reconcile import RESUMABLE_REASONS

EDITABLE: Final = (
    "maxTrialCount",
    "parallelTrialCount",
    "maxFailedTrialCount",
    "maxDurationSeconds",
    "stopWhen",
    "suspend",
)

# What to do about an edit that is not allowed.
OTHERWISE: Final = "Give the experiment another name, or delete it: katib-py delete experiment NAME"


def validate_edit(old: Experiment, new: Experiment) -> list[Problem]:
    """What is wrong with putting `new` in the place of `old`; both are compared with their defaults written out."""
    before, after = _comparable(old), _comparable(new)
    changed = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return list(_problems(old, new, changed, (before, after)))


def _comparable(experiment: Experiment) -> dict[str, Any]:
    """The spec with its defaults, and quantities as text: clients read and write back `cpu: 1` as `cpu: "1"`."""
    spec: dict[str, Any] = default(experiment).dump().get("spec", {})
    collector = spec.get("metricsCollectorSpec", {}).get("collector") or {}
    resources = (collector.get("customCollector") or {}).get("resources")
    if not isinstance(resources, dict):
        return spec
    texts = {
        key: {name: str(value) for name, value in quantities.items()} if isinstance(quantities, dict) else quantities
        for key, quantities in resources.items()
    }
    container = {**collector["customCollector"], "resources": texts}
    collecting = {**spec["metricsCollectorSpec"], "collector": {**collector, "customCollector": container}}
    return {**spec, "metricsCollectorSpec": collecting}


def _problems(
    old: Experiment, new: Experiment, changed: list[str], specs: tuple[dict[str, Any], dict[str, Any]]
) -> Iterator[Problem]:
    before, after = specs
    for key in changed:
        if key not in EDITABLE:
            path, was, now = _difference(f"spec.{key}", before.get(key), after.get(key))
            words = f"was {show(was)} and is {show(now)}; of an experiment only {', '.join(EDITABLE)} can be changed"
            yield Problem(path, f"{words}. {OTHERWISE}")
    if [key for key in changed if key != "suspend"]:
        yield from _restart_problems(old)
    most = new.spec.max_trial_count
    trials, repeats = (old.status.get(key, 0) for key in ("trials", "trialsRepeating"))
    trials = trials - repeats if isinstance(trials, int) and isinstance(repeats, int) else 0
    if "maxTrialCount" in changed and most is not None and trials and most <= trials:
        yield Problem("spec.maxTrialCount", f"is {most}; must be greater than the number of trials there are, {trials}")


def _difference(path: str, was: Any, now: Any) -> tuple[str, Any, Any]:
    """The first place where two values differ, and what stands there."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in {**was, **now}:
            if was.get(key) != now.get(key):
                return _difference(f"{path}.{key}", was.get(key), now.get(key))
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for index, (left, right) in enumerate(zip(was, now, strict=True)):
            if left != right:
                return _difference(f"{path}[{index}]", left, right)
    return path, was, now


def _restart_problems(old: Experiment) -> Iterator[Problem]:
    """A finished experiment can go on only if it ended on its budget and its policy keeps what a restart needs."""
    reason = _end(old)
    if reason is None:
        return
    if reason not in RESUMABLE_REASONS:
        words = f"cannot be changed: the experiment has ended ({reason}), and not because of its budget"
        yield Problem("spec", f"{words}. {OTHERWISE}")
    elif (policy := old.spec.resume_policy or ResumePolicy.NEVER) not in {
        ResumePolicy.LONG_RUNNING,
        ResumePolicy.FROM_VOLUME,
    }:
        yield Problem(
            "spec.resumePolicy",
            f"is {policy}, and the experiment has ended; only LongRunning and FromVolume ones can go on. {OTHERWISE}",
        )


def _end(old: Experiment) -> str | None:
    """The reason of the verdict; None for an experiment that has not ended."""
    conditions = old.status.get("conditions")
    for entry in conditions if isinstance(conditions, list) else ():
        if isinstance(entry, dict) and entry.get("type") in {"Succeeded", "Failed"} and entry.get("status") == "True":
            return str(entry.get("reason", "")) if entry["type"] == "Succeeded" else "ExperimentFailed"
    return None
