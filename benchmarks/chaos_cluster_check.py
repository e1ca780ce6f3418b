"""What a chaos campaign on a cluster has left: compared with what the trial programs say that they did."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.cluster.controllers import eventually
from support.cluster.experiments import Objects, last

from katib_py.observations.log import Reported
from katib_py.observations.remote import RemoteLog

METRICS: Final = ("loss", "accuracy")
SWEPT_SECONDS: Final = 90.0  # leftovers are looked for once a minute


@dataclass(frozen=True)
class Account:
    """What one trial program says that it reported."""

    uid: str
    metrics: tuple[dict[str, float], ...]
    ended: bool

    def values(self, metric: str) -> list[float]:
        """The values of one metric, in order."""
        return [step[metric] for step in self.metrics]


@dataclass
class Left:
    """Everything there is at the end; `log` has every row of each trial's uid."""

    experiment: dict[str, Any]
    suggestion: dict[str, Any]
    trials: list[dict[str, Any]]
    accounts: dict[str, list[Account]]
    log: dict[str, list[Reported]]
    objects: list[str]

    @property
    def values(self) -> int:
        """How many values the log has."""
        return sum(map(len, self.log.values()))

    def violations(self) -> list[str]:
        """Everything that is wrong, in words."""
        found = [*self._wrong_counts(), *self._wrong_suggestion()]
        accounts = dict(self.accounts)
        for trial in self.trials:
            name = trial["metadata"]["name"]
            rows = self.log.get(trial["metadata"]["uid"], [])
            found += [f"{name}: {words}" for words in wrong_trial(trial, accounts.pop(name, []), rows)]
        found += [f"{name} ran but is no trial" for name in accounts]
        return found + [f"an object is left: {name}" for name in self.objects]

    def _wrong_counts(self) -> Iterator[str]:
        wanted, status = self.experiment["spec"]["maxTrialCount"], self.experiment["status"]
        if last(self.experiment) != ("Succeeded", "ExperimentMaxTrialsReached"):
            yield f"the experiment ended as {last(self.experiment)}"
        if len(self.trials) != wanted:
            yield f"there are {len(self.trials)} trials, not {wanted}"
        for name in ("trials", "trialsSucceeded"):
            if status.get(name) != wanted:
                yield f"status.{name} is {status.get(name)}, not {wanted}"
        if strange := sorted(set(status) & {"trialsRunning", "trialsPending", "trialsFailed", "trialsKilled"}):
            yield f"status has {', '.join(strange)}"

    def _wrong_suggestion(self) -> Iterator[str]:
        status, wanted = self.suggestion["status"], self.experiment["spec"]["maxTrialCount"]
        names = [entry["name"] for entry in status["suggestions"]]
        counted, requests = status["suggestionCount"], self.suggestion["spec"]["requests"]
        if {counted, requests, len(names), len(set(names))} != {wanted}:
            yield f"the Suggestion counts {counted}, asks for {requests}, lists {len(names)}, {len(set(names))} by name"
        if set(names) != {trial["metadata"]["name"] for trial in self.trials}:
            yield "the Suggestion lists other names than the trials have"
        if last(self.suggestion)[0] != "Succeeded":
            yield f"the Suggestion ended as {last(self.suggestion)}"


def wrong_trial(trial: dict[str, Any], accounts: list[Account], rows: list[Reported]) -> Iterator[str]:
    """One program, which ended by itself, and its values in the log, each once and in order."""
    status = trial["status"]
    if last(trial)[0] != "Succeeded" or status.get("attempt"):
        yield f"it ended as {last(trial)}, in attempt {status.get('attempt', 1)}"
    if len(accounts) != 1:
        yield f"it ran {len(accounts)} times"
        return
    (account,) = accounts
    if not account.ended:
        yield "its program did not end by itself"
    if attempts := sorted({row.attempt for row in rows} - {"1"}):
        yield f"values are recorded for attempts {attempts}"
    for metric in METRICS:
        kept = sorted((row.measurement for row in rows if row.measurement.metric == metric), key=lambda m: m.position)
        values, told = [float(item.value) for item in kept], account.values(metric)
        if values != told:
            lost, doubled = Counter(told) - Counter(values), Counter(values) - Counter(told)
            yield f"of {len(told)} {metric} values {lost.total()} lost, {doubled.total()} too many"
    noted = {metric["name"]: metric for metric in status.get("observation", {}).get("metrics", ())}
    for metric in METRICS:
        told = account.values(metric)
        facts = {"min": min(told), "max": max(told), "latest": told[-1]}
        found = {key: float(noted.get(metric, {}).get(key, "nan")) for key in facts}
        if found != facts:
            yield f"its observation has {metric} {found}, the program reported {facts}"


async def left(objects: Objects, name: str, accounts: Path, log: RemoteLog) -> Left:
    """Look at everything, once nothing more is about to go."""
    client, experiment = objects.client, objects.experiment(name)
    trials = objects.trials()
    _, rows = await log.since(0, [trial["metadata"]["uid"] for trial in trials])
    by_uid = defaultdict(list)
    for row in rows:
        by_uid[row.trial_uid].append(row)
    return Left(
        experiment,
        client.get(objects.path("suggestions", name)),
        trials,
        read_accounts(accounts),
        by_uid,
        remaining(objects),
    )


def remaining(objects: Objects) -> list[str]:
    """The run objects and pods that are still there after a while, but for pods that wait for a kubelet to go."""

    def names() -> list[str]:
        pods = objects.client.get(objects.path("pods", group="/api/v1"))["items"]
        staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
        return [item["metadata"]["name"] for item in (*objects.jobs(), *staying)]

    try:
        eventually(lambda: not names(), SWEPT_SECONDS)
    except AssertionError:
        return names()
    return []


def read_accounts(folder: Path) -> dict[str, list[Account]]:
    """Every trial program's account, by the trial's name."""
    found: dict[str, list[Account]] = defaultdict(list)
    for path in folder.iterdir():
        name, _, uid = path.name.partition(".")
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        ended = bool(lines) and lines[-1] == "ended"
        found[name].append(Account(uid, tuple(lines[:-1] if ended else lines), ended))
    return found
