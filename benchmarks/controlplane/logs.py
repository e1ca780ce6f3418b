"""A thousand trials that run and print a line a second, medianstop on: how late, how complete, at what cost.

Two controllers share a lease, and the one that leads is killed half way. Every value is one that nobody else prints, so
that what was said and what the log has can be compared one by one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from support.cluster import played_pods
from support.cluster.async_client import AsyncClient
from support.cluster.controllers import Controller
from support.cluster.experiments import experiment
from support.cluster.kinds import path_of
from support.cluster.played import PlayedJobs, completes
from support.cluster.played_node import PlayedNode

from benchmarks.controlplane.rig import NAMESPACE, Rig, machine, rig

NAME = "printing"
CONFIG = """
apiVersion: config.kubeflow.org/v1beta1
kind: KatibConfig
init:
  controller: {enableLeaderElection: true, webhookPort: 0, metricsAddr: "0", healthzAddr: "0"}
"""
LEASES = "kubeflow"  # the namespace of the lease
QUICK, QUICK_LINES = 5, 20  # trials that succeed soon: without them nothing is stopped
HOPELESS = 50  # one of so many trials is to be stopped, and comes late, so that there is something to compare it with
ENDING_SECONDS = 50  # over which the trials end, one after the other
LATE_SECONDS = 10.0
LEAD_SECONDS = 20.0
LOOK_SECONDS = 0.5
Facts = dict[str, Any]


class Plan(NamedTuple):
    """How many trials, and for how long all of them print before the leader is killed, and after."""

    trials: int
    seconds: float


@dataclass
class Said:
    """What the trials printed: by trial the values in order, and when each of all was printed."""

    by_trial: dict[str, list[str]] = field(default_factory=dict)
    when: dict[str, float] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)


class Training:
    """What happens to each Job: a pod that prints a line a second until `over`, and then some more."""

    def __init__(self, node: PlayedNode) -> None:
        self.said = Said()
        self.over = asyncio.Event()
        self._node = node

    async def __call__(self, played: PlayedJobs, job: Mapping[str, Any]) -> None:
        """The act of one Job."""
        number = len(self.said.by_trial)
        values = self.said.by_trial.setdefault(job["metadata"]["name"], [])
        pod = await played.pod(job, self._node.name)
        await played.pod_status(pod, played_pods.running)
        await played.start(job)
        where = NAMESPACE, pod["metadata"]["name"]
        try:
            lines = QUICK_LINES if number < QUICK else sys.maxsize
            while len(values) < lines:
                self._say(where, number, values)
                await asyncio.sleep(1.0)
                if lines == sys.maxsize and self.over.is_set():
                    lines = len(values) + number % ENDING_SECONDS
        except asyncio.CancelledError:
            self.said.stopped.add(job["metadata"]["name"])
            raise
        finally:
            self._node.end(*where)
        await played.pod_status(pod, played_pods.ended())
        await completes(played, job)

    def _say(self, where: tuple[str, str], number: int, values: list[str]) -> None:
        hopeless = number % HOPELESS == HOPELESS - 1
        # Ever better, so that the median stops none of the others.
        value = f"{1 if hopeless else 5 + len(values)}.{number:05d}{len(values):05d}"
        values.append(value)
        self.said.when[value] = time.time()
        self._node.say(*where, f"step {len(values)} acc={value}")


@dataclass
class Arrivals:
    """When each value was seen in the observation log."""

    database: Path
    when: dict[str, float] = field(default_factory=dict)
    rows: Counter[str] = field(default_factory=Counter)
    _last: int = 0

    async def watch(self) -> None:
        """Look; never returns."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Take in the rows that are new."""
        with sqlite3.connect(f"file:{self.database}?mode=ro", uri=True) as connection:
            query = "SELECT id, value FROM observation_logs WHERE id > ? ORDER BY id"
            rows = connection.execute(query, (self._last,)).fetchall()
        now = time.time()
        for number, value in rows:
            self._last = number
            self.rows[value] += 1
            self.when.setdefault(value, now)


async def measure(plan: Plan) -> Facts:
    """From the first trial to the last one's end."""
    with rig() as place:
        place.server.namespace(LEASES)
        config = place.folder / "katib-config.yaml"
        config.write_text(CONFIG)
        leader, standby = (place.controller("--config", str(config)) for _ in range(2))
        leader.start()
        standby.launch()
        async with PlayedNode(place.kubeconfig) as node:
            training, arrivals = Training(node), Arrivals(place.database)
            async with (
                PlayedJobs(place.kubeconfig, act=training, namespace=NAMESPACE, collects=True) as jobs,
                AsyncClient(place.kubeconfig) as client,
            ):
                failing = asyncio.create_task(jobs.problem())
                watching = asyncio.create_task(arrivals.watch())
                course = asyncio.create_task(_course(Scene(place, client, training), leader, standby, plan))
                done, _ = await asyncio.wait({course, failing, watching}, return_when=asyncio.FIRST_COMPLETED)
                failing.cancel()
                watching.cancel()
                for task in done:
                    task.result()
                facts = course.result()
            arrivals.look()
            return {**machine(), **plan._asdict(), **facts, **_compared(training.said, arrivals, facts)}


@dataclass
class Scene:
    """What a course plays on."""

    place: Rig
    client: AsyncClient
    training: Training

    async def count(self, *names: str) -> int:
        """So many of the experiment's trials are in these states."""
        status = (await self.client.get(path_of(NAMESPACE, "Experiment", NAME))).get("status", {})
        return sum(status.get(name, 0) for name in names)

    async def until(self, least: int, *names: str) -> None:
        """Wait until so many are."""
        while await self.count(*names) < least:
            await asyncio.sleep(0.5)

    async def load(self, name: str, seconds: float) -> Facts:
        """What a controller uses, of one core, and what the API server does."""
        names = {"controller": name, "API server": "kube-apiserver", "played": "played"}
        before, begin = self.place.processor_seconds(), time.monotonic()
        await asyncio.sleep(seconds)
        after, passed = self.place.processor_seconds(), time.monotonic() - begin
        return {label: round((after[key] - before[key]) / passed, 2) for label, key in names.items()}


async def _course(scene: Scene, leader: Controller, standby: Controller, plan: Plan) -> Facts:
    early = {"algorithmName": "medianstop"}
    document = experiment(
        NAME, "StdOut", maxTrialCount=plan.trials, parallelTrialCount=plan.trials, earlyStopping=early
    )
    await scene.client.post(path_of(NAMESPACE, "Experiment"), document)
    begin = time.time()
    await scene.until(plan.trials, "trialsRunning", "trialsSucceeded", "trialsEarlyStopped")
    await scene.until(QUICK, "trialsSucceeded")
    await scene.until(plan.trials // HOPELESS, "trialsEarlyStopped")
    facts: Facts = {"start seconds": round(time.time() - begin, 1)}
    facts["before"] = await scene.load("controller 0", plan.seconds)
    leader.kill()
    facts["killed"] = time.time()
    while "driving the experiments" not in standby.said():
        await asyncio.sleep(0.1)
    facts["led"] = time.time()
    await asyncio.sleep(LEAD_SECONDS)
    facts["after"] = await scene.load("controller 1", plan.seconds)
    scene.training.over.set()
    await scene.until(plan.trials, "trialsSucceeded", "trialsEarlyStopped")
    facts["succeeded"], facts["stopped"] = [
        await scene.count(name) for name in ("trialsSucceeded", "trialsEarlyStopped")
    ]
    return facts


def _compared(said: Said, arrivals: Arrivals, facts: Facts) -> Facts:
    """What was said against what the log has."""
    lateness = {value: arrivals.when[value] - when for value, when in said.when.items() if value in arrivals.when}
    gap = facts["killed"] - LATE_SECONDS, facts["led"] + LEAD_SECONDS
    steady = sorted(late for value, late in lateness.items() if not gap[0] < said.when[value] < gap[1])
    around = [late for value, late in lateness.items() if gap[0] < said.when[value] < gap[1]]
    lost = {
        name: missing
        for name, values in said.by_trial.items()
        if (missing := sum(value not in arrivals.when for value in values))
    }
    return {
        "values": len(said.when),
        "lost": sum(missing for name, missing in lost.items() if name not in said.stopped),
        "last words of stopped trials lost": sum(missing for name, missing in lost.items() if name in said.stopped),
        "doubled": sum(count - 1 for count in arrivals.rows.values()),
        "unknown": sum(value not in said.when for value in arrivals.rows),
        "latest": round(steady[-1], 1),
        "99 of 100": round(steady[len(steady) * 99 // 100], 1),
        "median": round(steady[len(steady) // 2], 1),
        "latest around the takeover": round(max(around), 1),
        "takeover": round(facts["led"] - facts["killed"], 1),
    }


def table(facts: Facts) -> Iterator[str]:
    """What was measured."""
    yield "| | |"
    yield "|---|---|"
    for name in ("trials", "values", "lost", "doubled", "unknown", "last words of stopped trials lost", "stopped"):
        yield f"| {name} | {facts[name]} |"
    yield f"| seconds until a value is in the log: median, 99 of 100, latest | {facts['median']}, " + (
        f"{facts['99 of 100']}, {facts['latest']} |"
    )
    yield f"| seconds until the other controller acted; the latest value around that | {facts['takeover']}, " + (
        f"{facts['latest around the takeover']} |"
    )
    for when in ("before", "after"):
        yield f"| cores of the leader, the API server, and what is played, {when} | " + (
            f"{', '.join(str(used) for used in facts[when].values())} |"
        )
    yield f"| load | {facts['load']} |"
