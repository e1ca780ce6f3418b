"""The bare loop: the five writes that a trial needs at least, and nothing else; the limit of the rig.

Trial, Job, the Job's status, the Trial's status Running and Succeeded: the objects that the controller writes, by the
client that it has, made beforehand; nothing is watched, decided or measured.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from support.cluster.experiments import experiment

from benchmarks.controlplane.rig import NAMESPACE
from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.resources import JOBS, TRIALS
from katib_py.backends.k8s.site import Site
from katib_py.core.load import load_experiment
from katib_py.core.names import trial_name
from katib_py.core.objective import Metric
from katib_py.core.objects import TrialObjects, trial_status
from katib_py.core.status import time_text
from katib_py.core.template import compile_template
from katib_py.core.trial import Assignment, TrialRecord, TrialState

CONCURRENCY = (10, 50)


class Writes(NamedTuple):
    """What is written of one trial, in this order."""

    trial: Json
    job: Json
    job_status: Json
    running: Json
    succeeded: Json


async def loop(kubeconfig: Path, concurrency: int, trials: int) -> float:
    """Trials per second of so many at a time."""
    api = await Api.connect(str(kubeconfig))
    try:
        waiting = iter(list(itertools.islice(_writes(), trials)))
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_work(api, waiting))
        return trials / (time.perf_counter() - begin)
    finally:
        await api.close()


async def _work(api: Api, waiting: Iterator[Writes]) -> None:
    for writes in waiting:
        where = NAMESPACE, writes.trial["metadata"]["name"]
        await api.create(TRIALS, NAMESPACE, writes.trial)
        await api.create(JOBS, NAMESPACE, writes.job)
        await api.patch(JOBS, where, writes.job_status, "status")
        await api.patch(TRIALS, where, writes.running, "status")
        await api.patch(TRIALS, where, writes.succeeded, "status")


def _writes() -> Iterator[Writes]:
    """Endless trials of an experiment that only these documents know."""
    name, uid = f"loop-{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    document = experiment(name)
    document["metadata"] |= {"namespace": NAMESPACE, "uid": uid}
    owner = load_experiment(document).experiment
    objects, template, site = TrialObjects(owner), compile_template(owner), Site.of(owner)
    for index in itertools.count():
        now = time.time()
        assignment = Assignment(trial_name(name, uid, index), index, (("lr", "0.01"),))
        record = TrialRecord(assignment, now, TrialState.RUNNING, started=now, uid=str(uuid.uuid4()))
        run = template.render(record.name, NAMESPACE, assignment.parameters)
        metric = Metric("acc", "0.5", "0.5", "0.5")
        ended = replace(record, state=TrialState.SUCCEEDED, completed=now, observation=(metric,))
        trial = objects.of(record, run)
        del trial["metadata"]["uid"]
        yield Writes(
            trial,
            site.object(run, record.uid, record.attempt),
            {"status": _complete(time_text(now))},
            {"status": trial_status(record)},
            {"status": trial_status(ended)},
        )


def _complete(now: str) -> Json:
    conditions = [
        {"type": kind, "status": "True", "reason": "", "message": "", "lastProbeTime": now, "lastTransitionTime": now}
        for kind in ("SuccessCriteriaMet", "Complete")
    ]
    facts = {"active": 0, "ready": 0, "succeeded": 1, "startTime": now, "completionTime": now}
    return {**facts, "conditions": conditions}
