"""Objects as Katib's own controllers go on from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from katib_py.core.errors import InvalidInput
from katib_py.core.experiment import CollectorKind
from katib_py.core.objects import suggestion_entry
from katib_py.core.parse import parse_experiment
from katib_py.core.read_trial import read_trial
from katib_py.core.repair import repaired

Json = dict[str, Any]

# What Katib knows of spec, and the algorithms that its configuration names as it is shipped.
KEYS: Final = frozenset(
    {
        "algorithm",
        "earlyStopping",
        "maxFailedTrialCount",
        "maxTrialCount",
        "metricsCollectorSpec",
        "nasConfig",
        "objective",
        "parallelTrialCount",
        "parameters",
        "resumePolicy",
        "trialTemplate",
    }
)
ALGORITHMS: Final = frozenset(
    {
        "bayesianoptimization",
        "cmaes",
        "darts",
        "enas",
        "grid",
        "hyperband",
        "multivariate-tpe",
        "pbt",
        "random",
        "sobol",
        "tpe",
    }
)
STOPPERS: Final = frozenset({"medianstop"})


def suggestion_changes(suggestion: Mapping[str, Any], trials: Iterable[Mapping[str, Any]]) -> tuple[Json, Json]:
    """The keys of spec and of status with which a Suggestion has exactly the assignments of the Trials that there are.

    Katib makes a Trial of every assignment at once that has none, and then deletes the newest of those that are too
    many; and it makes none while the list is shorter than the Trials are many.
    """
    there = {trial["metadata"]["name"]: trial for trial in trials}
    listed = {entry["name"]: entry for entry in (suggestion.get("status") or {}).get("suggestions") or ()}
    left = sorted(there.keys() - listed.keys(), key=lambda name: _born(there[name]))
    entries = [suggestion_entry(read_trial(there[name]).assignment) for name in left]
    entries += [entry for name, entry in listed.items() if name in there]
    status: Json = {"suggestions": entries, "suggestionCount": len(entries), "ended": None}
    return {"requests": len(entries)}, status


def obstacles(document: Mapping[str, Any]) -> list[str]:
    """What Katib, as it is shipped, does not do of this Experiment, in words; nothing of one that cannot be read."""
    try:
        experiment = parse_experiment(repaired(document)).experiment
    except InvalidInput:
        return []
    algorithm, collector = experiment.spec.algorithm, experiment.spec.metrics_collector_spec
    words = [f"ignores spec.{key}" for key, value in sorted(document["spec"].items()) if value and key not in KEYS]
    if algorithm is not None and algorithm.algorithm_name not in ALGORITHMS:
        words.append(f"has no algorithm {algorithm.algorithm_name}")
    stopping = experiment.spec.early_stopping
    if stopping is not None and stopping.algorithm_name not in STOPPERS:
        words.append(f"has no early stopping {stopping.algorithm_name}")
    if collector is not None and collector.kind is CollectorKind.PROMETHEUS:
        words.append("has no collector of the kind PrometheusMetric")
    return words


def _born(trial: Mapping[str, Any]) -> tuple[str, str]:
    return str(trial["metadata"].get("creationTimestamp", "")), str(trial["metadata"]["name"])
