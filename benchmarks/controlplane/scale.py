"""One long experiment: how large its objects get, what the controller holds, and what a trial costs at either end."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import psutil
from support.cluster.async_client import AsyncClient
from support.cluster.experiments import experiment, last
from support.cluster.kinds import path_of
from support.cluster.played import PlayedJobs
from support.cluster.pushing import Pushing

from benchmarks.controlplane.rig import NAMESPACE, Rig, machine, rig

NAME = "scale"
PAUSE_SECONDS = 5.0
WINDOWS = 10
OBJECT_BYTES = 200 << 10
MEMORY_BYTES = 500 << 20
GROWTH = 1.5
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
Sample = dict[str, Any]


async def measure(trials: int, parallel: int) -> dict[str, Any]:
    """The samples of the whole course."""
    facts: dict[str, Any] = {**machine(), "trials": trials, "parallel": parallel}
    with rig() as place:
        place.controller().start()
        async with (
            PlayedJobs(place.kubeconfig, act=Pushing(), namespace=NAMESPACE) as jobs,
            AsyncClient(place.kubeconfig) as client,
        ):
            sampling = asyncio.create_task(_course(place, client, trials, parallel))
            failing = asyncio.create_task(jobs.problem())
            done, _ = await asyncio.wait({sampling, failing}, return_when=asyncio.FIRST_COMPLETED)
            failing.cancel()
            for task in done:
                facts["samples"] = task.result()
    return facts


async def _course(place: Rig, client: AsyncClient, trials: int, parallel: int) -> list[Sample]:
    document = experiment(NAME, maxTrialCount=trials, parallelTrialCount=parallel)
    await client.post(path_of(NAMESPACE, "Experiment"), document)
    begin, samples = time.perf_counter(), []
    while True:
        samples.append(await _sample(place, client, begin))
        kind, reason = samples[-1]["condition"]
        if kind in {"Succeeded", "Failed"}:
            if (kind, reason) != ("Succeeded", "ExperimentMaxTrialsReached"):
                raise AssertionError(f"the experiment ended as {kind}, {reason}")
            return samples
        await asyncio.sleep(PAUSE_SECONDS)


async def _sample(place: Rig, client: AsyncClient, begin: float) -> Sample:
    found = await client.get(path_of(NAMESPACE, "Experiment", NAME))
    jobs = await client.get(JOBS, limit="1")
    process = place.controllers[0].process
    return {
        "seconds": round(time.perf_counter() - begin, 2),
        "finished": found.get("status", {}).get("trialsSucceeded", 0),
        "condition": last(found),
        "experiment": len(json.dumps(found, separators=(",", ":"))),
        "suggestion": await _size(client, path_of(NAMESPACE, "Suggestion", NAME)),
        "jobs": len(jobs["items"]) + jobs["metadata"].get("remainingItemCount", 0),
        "memory": psutil.Process(process.pid).memory_info().rss,
        "cpu": place.processor_seconds(),
    }


async def _size(client: AsyncClient, path: str) -> int:
    """How many bytes an object has; none has none."""
    try:
        return len(await client.text(path))
    except Exception:  # noqa: BLE001 - it is not there yet
        return 0


HEADER = (
    "trials",
    "trials/s",
    "controller, CPU ms per trial",
    "API server and etcd",
    "memory MiB",
    "run objects",
    "load",
)


def table(facts: dict[str, Any]) -> Iterator[str]:
    """A row per window, and what was promised."""
    yield f"| {' | '.join(HEADER[:-1])} |"
    yield "|---" * (len(HEADER) - 1) + "|"
    windows = list(_windows(facts["samples"]))
    for first, second in windows:
        cells = (*_costs(first, second), f"{second['memory'] / 2**20:.0f}", str(second["jobs"]))
        yield f"| {second['finished']} | {' | '.join(cells)} |"
    samples = facts["samples"]
    largest = max(max(sample["experiment"], sample["suggestion"]) for sample in samples)
    memory = max(sample["memory"] for sample in samples)
    growth = _per_trial(*windows[-1], "controller 0") / _per_trial(*windows[0], "controller 0")
    yield f"\nlargest object {largest / 1024:.0f} KiB: {_verdict(largest < OBJECT_BYTES)}"
    yield f"memory of the controller at most {memory / 2**20:.0f} MiB: {_verdict(memory < MEMORY_BYTES)}"
    yield f"cost per trial at the end {growth:.2f} times that at the start: {_verdict(growth < GROWTH)}"


def _windows(samples: list[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """The first and last sample of every tenth of the trials."""
    total = samples[-1]["finished"]
    ends = [next(s for s in samples if s["finished"] >= total * part / WINDOWS) for part in range(WINDOWS + 1)]
    for first, second in itertools.pairwise(ends):
        if second["finished"] > first["finished"]:
            yield first, second


def _costs(first: Sample, second: Sample) -> Iterator[str]:
    yield f"{(second['finished'] - first['finished']) / (second['seconds'] - first['seconds']):.0f}"
    yield f"{1000 * _per_trial(first, second, 'controller 0'):.1f}"
    yield f"{1000 * _per_trial(first, second, 'kube-apiserver', 'etcd'):.1f}"


def _per_trial(first: Sample, second: Sample, *names: str) -> float:
    """Processor seconds."""
    spent = sum(second["cpu"][name] - first["cpu"][name] for name in names)
    return float(spent / (second["finished"] - first["finished"]))


def _verdict(held: bool) -> str:
    return "as promised" if held else "NOT as promised"
