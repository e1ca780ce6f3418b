"""What must hold after a chaos campaign, read through the store and the observation log."""

from __future__ import annotations

import json
import os
import struct
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from katib_py.backends.local.catalog import Catalog
from katib_py.backends.local.database import Database
from katib_py.controller.ports import Key
from katib_py.core.objective import Measurement, as_number
from katib_py.core.trial import TrialRecord, TrialState, trial_uid
from katib_py.observations.log import SqlLog

KEY: Final = Key("default", "chaos")
METRICS: Final = ("loss", "accuracy")
GONE_SECONDS: Final = 5.0


@dataclass
class Facts:
    """What the campaign counted. `survivors`: accounts of trials that were running when a controller died."""

    seconds: float = 0.0
    kills: int = 0
    kills_at_start: int = 0
    kills_among_trials: int = 0
    kills_of_service: int = 0
    kills_of_server: int = 0
    trials: int = 0
    values: int = 0
    adopted: int = 0
    survivors: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Account:
    """What one trial program says that it reported."""

    name: str
    attempt: int
    pid: int
    metrics: tuple[dict[str, float], ...]
    ended: bool


def violations(work: Path, sandbox: Path, facts: Facts) -> list[str]:
    """Everything that is wrong, in words; fills in what the table shows."""
    accounts = defaultdict(list)
    for account in read_accounts(sandbox / "accounts"):
        accounts[account.name].append(account)
    with closing(Database(f"sqlite:///{work}/.katib/katib.db")) as database:
        catalog = Catalog(database)
        experiment = catalog.get(KEY)
        trials = catalog.trials(KEY, limit=10_000)
        log = {trial.name: read_log(database, experiment.metadata.uid, trial) for trial in trials}
    facts.trials = len(trials)
    facts.values = sum(len(items) for items in log.values())
    found = [*wrong_status(experiment.dump(), trials)]
    for trial in trials:
        found += wrong_trial(trial, accounts.pop(trial.name, []), log[trial.name])
    found += [f"{name} ran but is no trial" for name in accounts]
    recorded = {f"{trial.name}.{trial.attempt}" for trial in trials if trial.state is TrialState.SUCCEEDED}
    facts.adopted = sum(name.rpartition(".")[0] in recorded for name in facts.survivors)
    return [*found, *left_processes(sandbox), *stray_files(work, sandbox)]


def read_accounts(folder: Path) -> Iterator[Account]:
    """Every trial program's account."""
    for path in folder.iterdir():
        name, attempt, pid = path.name.rsplit(".", 2)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        ended = bool(lines) and lines[-1] == "ended"
        yield Account(name, int(attempt), int(pid), tuple(lines[:-1] if ended else lines), ended)


def read_log(database: Database, uid: str, trial: TrialRecord) -> list[Measurement]:
    """The observation log of the trial's recorded attempt."""
    return SqlLog(database.engine).read(trial_uid(uid, trial.name), str(trial.attempt))


def wrong_status(experiment: dict[str, Any], trials: list[TrialRecord]) -> Iterator[str]:
    """The experiment's own account against its trials."""
    spec, status = experiment["spec"], experiment["status"]
    wanted = spec["maxTrialCount"]
    if len(trials) != wanted:
        yield f"{len(trials)} trials are stored, not {wanted}"
    for name in ("trials", "trialsSucceeded"):
        if status.get(name) != wanted:
            yield f"status.{name} is {status.get(name)}, not {wanted}"
    states = Counter(trial.state.value for trial in trials)
    if set(states) != {"Succeeded"}:
        yield f"trials by state: {dict(states)}"


def wrong_trial(trial: TrialRecord, accounts: list[Account], log: list[Measurement]) -> Iterator[str]:
    """One program per recorded attempt, and the last one's values in the log, each once and in order."""
    runs = Counter(account.attempt for account in accounts)
    expected = dict.fromkeys(range(1, trial.attempt + 1), 1)
    if runs != expected:
        yield f"{trial.name}: programs by attempt {dict(runs)}, recorded attempt {trial.attempt}"
    last = next((account for account in accounts if account.attempt == trial.attempt), None)
    if last is None:
        return
    if not last.ended:
        yield f"{trial.name}: its program (pid {last.pid}) did not end by itself"
    for metric in METRICS:
        told = [single(step[metric]) for step in last.metrics]
        kept = [single(float(item.value)) for item in log if item.metric == metric]
        if kept != told:
            lost, doubled = sorted(Counter(told) - Counter(kept)), sorted(Counter(kept) - Counter(told))
            yield f"{trial.name}: of {len(told)} {metric} values {len(lost)} lost, {len(doubled)} too many: {lost[:3]}"
    best = min((single(step["loss"]) for step in last.metrics), default=None)
    values = {metric.name: as_number(metric.min) for metric in trial.observation}
    noted = single(value) if (value := values.get("loss")) is not None else None
    if noted != best:
        yield f"{trial.name}: its observation has min {noted}, the program reported {best}"


def single(value: float) -> float:
    """The value as an event file holds it: the log writes the shortest text that reads back as the same float32."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


def left_processes(sandbox: Path) -> list[str]:
    """Processes that name the campaign's folder in their command, folder or environment."""
    deadline = time.monotonic() + GONE_SECONDS
    while (left := list(_marked(str(sandbox)))) and time.monotonic() < deadline:
        time.sleep(0.1)
    return [f"a process is left: {words}" for words in left]


def _marked(text: str) -> Iterator[str]:
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), process.cwd(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(text in word for word in words):
            yield f"{process.pid} {' '.join(process.cmdline())[:200]}"


def stray_files(work: Path, sandbox: Path) -> Iterator[str]:
    """Run folders and sockets anywhere but in the work folder."""
    runs = work / ".katib" / "runs" / KEY.namespace / KEY.name
    for path in sandbox.rglob("pid-*"):
        if runs not in path.parents:
            yield f"a run folder lies outside the work folder: {path}"
    for name in ("tmp", "home"):
        yield from (f"a file was left: {path}" for path in (sandbox / name).iterdir())
