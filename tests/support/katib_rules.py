"""What the controllers of Katib 0.19 would do about stored objects: told by their rules, not by their code.

`look` is one look of the experiment controller; `goes_on` lets it and the suggestion controller act to the end.
"""

import copy
from collections import Counter
from dataclasses import dataclass, field

# A trial counts as the first of these that it says of itself.
STATES = ("Killed", "Failed", "Succeeded", "EarlyStopped", "Running", "MetricsUnavailable")
ENDS = frozenset(STATES) - {"Running"}


@dataclass
class Look:
    """What one look comes to: `ended` is the reason, `requests` what the Suggestion is to have been asked for."""

    counts: Counter
    ended: str = ""
    created: list = field(default_factory=list)
    deleted: list = field(default_factory=list)
    requests: int | None = None


def holds(document, kind):
    conditions = document.get("status", {}).get("conditions") or ()
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


def state(trial):
    return next((name for name in STATES if holds(trial, name)), "Pending")


def observed(trial):
    """Its objective by the strategy, or None."""
    objective = trial["spec"]["objective"]
    name = objective["objectiveMetricName"]
    strategy = next((entry["value"] for entry in objective.get("metricStrategies", ()) if entry["name"] == name), None)
    metrics = (trial["status"].get("observation") or {}).get("metrics") or ()
    metric = next((metric for metric in metrics if metric["name"] == name), None)
    if metric is None or strategy is None:
        return None
    value = metric["latest"] if metric[strategy] == "unavailable" else metric[strategy]
    return None if value == "unavailable" else float(value)


def look(experiment, suggestion, trials):
    spec, counts = experiment["spec"], Counter(state(trial) for trial in trials)
    ended = _end(spec, counts, trials)
    if holds(experiment, "Succeeded") or holds(experiment, "Failed"):
        if not _restarts(experiment, trials):
            return Look(counts, "ended before")
    elif ended:
        return Look(counts, ended)
    if ended:
        return Look(counts, ended)
    parallel, most = spec["parallelTrialCount"], spec.get("maxTrialCount")
    active = counts["Pending"] + counts["Running"]
    done = sum(counts[name] for name in ("Succeeded", "Failed", "Killed", "EarlyStopped"))
    if active > parallel:
        newest = sorted(trials, key=lambda trial: trial["metadata"]["creationTimestamp"], reverse=True)
        return Look(counts, deleted=[trial["metadata"]["name"] for trial in newest[: active - parallel]])
    add = max(0, (parallel if most is None else min(parallel, most - done)) - active)
    if active == parallel or not add:
        return Look(counts)
    unobserved = sum(state(trial) == "EarlyStopped" and observed(trial) is None for trial in trials)
    there = {trial["metadata"]["name"] for trial in trials}
    listed = suggestion["status"].get("suggestions", [])
    created = [entry for entry in listed if entry["name"] not in there] if len(listed) > len(trials) else []
    return Look(counts, created=created, requests=len(trials) + add - unobserved)


def asked(suggestion):
    """How many assignments the suggestion controller asks for."""
    return max(0, suggestion["spec"]["requests"] - suggestion["status"].get("suggestionCount", 0))


def run_is(trial, run):
    """What the trial controller does with the trial's run object: create, delete, watch or nothing."""
    completed = any(holds(trial, end) for end in ENDS)
    if run is None:
        return "nothing" if completed else "create"
    return "delete" if completed and not trial["spec"].get("retainRun") else "watch"


def refused(experiment):
    """Whether its webhook would refuse every write of the object: it compares it with its own defaults filled in."""
    spec = experiment["spec"]
    parameters = spec.get("parameters", [])
    named = {entry["name"] for entry in spec["objective"].get("metricStrategies", ())}
    wanted = {spec["objective"]["objectiveMetricName"], *spec["objective"].get("additionalMetricNames", ())}
    template = spec["trialTemplate"]
    filled = (
        wanted <= named
        and all("distribution" in parameter["feasibleSpace"] for parameter in parameters)
        and "kind" in spec.get("metricsCollectorSpec", {}).get("collector", {})
        and all(template.get(key) for key in ("successCondition", "failureCondition"))
        and spec.get("resumePolicy")
    )
    return not filled or spec.get("parallelTrialCount", 3) > spec.get("maxTrialCount", 3)


def goes_on(experiment, suggestion, trials, looks=1000):
    """Every trial that is created, each to succeed in its turn, until the experiment has ended.

    Fails where one would be deleted, where more would run than may, or where nothing would happen any more.
    """
    experiment, suggestion, trials = (copy.deepcopy(each) for each in (experiment, suggestion, trials))
    made = []
    for number in range(looks):
        found = look(experiment, suggestion, trials)
        assert not found.deleted, f"deletes {found.deleted}"
        if found.ended:
            return made
        for entry in found.created:
            made.append(entry["name"])
            trials.append(_trial(experiment, entry, f"2099-01-01T00:00:{number % 60:02}Z"))
        if found.requests is not None:
            suggestion["spec"]["requests"] = found.requests
        _assign(suggestion, number)
        if not found.created and asked(suggestion) == 0 and not _one_succeeds(trials):
            unused = len(suggestion["status"].get("suggestions", [])) - len(trials)
            assert unused > 0, "stands still"
    raise AssertionError("does not come to an end")


def _end(spec, counts, trials):
    goal, values = spec["objective"].get("goal"), [value for trial in trials if (value := observed(trial)) is not None]
    maximize = spec["objective"]["type"] == "maximize"
    if goal is not None and values and (max(values) >= goal if maximize else min(values) <= goal):
        return "ExperimentGoalReached"
    failed, allowed = counts["Failed"] + counts["MetricsUnavailable"], spec.get("maxFailedTrialCount")
    if allowed is not None and failed and failed >= allowed:
        return "ExperimentFailed"
    if spec.get("maxTrialCount") is not None and sum(counts[end] for end in ENDS) >= spec["maxTrialCount"]:
        return "ExperimentMaxTrialsReached"
    return ""


def _restarts(experiment, trials):
    spec = experiment["spec"]
    reason = next((e["reason"] for e in experiment["status"]["conditions"] if e["type"] == "Succeeded"), "")
    resumable = reason == "ExperimentMaxTrialsReached" and spec["resumePolicy"] in {"LongRunning", "FromVolume"}
    return resumable and spec.get("maxTrialCount") is not None and spec["maxTrialCount"] > len(trials)


def _trial(experiment, entry, created):
    status = {"conditions": [{"type": "Running", "status": "True"}]}
    spec = {"objective": experiment["spec"]["objective"], "parameterAssignments": entry["parameterAssignments"]}
    return {"metadata": {"name": entry["name"], "creationTimestamp": created}, "spec": spec, "status": status}


def _assign(suggestion, number):
    status = suggestion["status"]
    fresh = [{"name": f"new-{number}-{place}", "parameterAssignments": []} for place in range(asked(suggestion))]
    status["suggestions"] = [*status.get("suggestions", []), *fresh]
    status["suggestionCount"] = status.get("suggestionCount", 0) + len(fresh)


def _one_succeeds(trials):
    for trial in trials:
        if state(trial) in {"Running", "Pending"}:
            trial["status"]["conditions"] = [{"type": "Succeeded", "status": "True"}]
            return True
    return False
