"""What a container asks of the machine, in Kubernetes' quantities."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final

from katib_py.core.errors import InvalidInput, Problem, show
from katib_py.core.quantity import quantity

GPU: Final = "nvidia.com/gpu"


@dataclass(frozen=True, slots=True)
class Demand:
    """What a run occupies while it runs: thousandths of a CPU, GPUs, and a port where it is fixed."""

    cpu: int = 0
    gpus: int = 0
    port: int | None = None

    def __bool__(self) -> bool:
        return bool(self.cpu or self.gpus or self.port is not None)


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is: thousandths of CPUs, and the names by which CUDA knows the GPUs."""

    cpu: int
    gpus: tuple[str, ...]


def demand(container: Mapping[str, Any], port: int | None) -> Demand:
    """What the container asks for; what it does not ask for is 0. Raises InvalidInput."""
    cpu, problems = Decimal(0), list[Problem]()
    gpus = Decimal(0)
    try:
        cpu = _asked(container, "cpu")
    except InvalidInput as error:
        problems += error.problems
    try:
        gpus = _asked(container, GPU)
        if gpus != int(gpus):
            problems.append(Problem(f"resources.limits.{GPU}", f"is {gpus}; must be a whole number"))
    except InvalidInput as error:
        problems += error.problems
    if problems:
        raise InvalidInput(problems)
    return Demand(int((cpu * 1000).to_integral_value()), int(gpus), port)


def _asked(container: Mapping[str, Any], resource: str) -> Decimal:
    """The request, else the limit: Kubernetes takes the limit for a request that is not written."""
    resources = container.get("resources") or {}
    for group in ("requests", "limits"):
        given = (resources.get(group) or {}).get(resource)
        if given is None:
            continue
        try:
            value = quantity(given)
        except InvalidInput as error:
            raise InvalidInput([Problem(f"resources.{group}.{resource}", error.problems[0].message)]) from error
        if value < 0:
            raise InvalidInput([Problem(f"resources.{group}.{resource}", f"is {show(given)}; must not be negative")])
        return value
    return Decimal(0)


@cache
def machine() -> Machine:
    """This machine: the CPUs that we may use, the GPUs of CUDA_VISIBLE_DEVICES or else of nvidia-smi."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Machine(cpus * 1000, _gpus())


def _gpus() -> tuple[str, ...]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = dict.fromkeys(name.strip() for name in visible.split(","))
        return tuple(name for name in names if name not in {"", "-1", "NoDevFiles"})
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return tuple(str(number) for number in range(count))


def refuse_impossible(wanted: Demand, there: Machine) -> list[Problem]:
    """What of the demand this machine can never give."""
    problems = []
    if wanted.cpu > there.cpu:
        has = f"this machine has {there.cpu // 1000}"
        problems.append(Problem("resources.requests.cpu", f"asks for {wanted.cpu / 1000:g} CPUs; {has}"))
    if wanted.gpus > len(there.gpus):
        has = f"this machine has {len(there.gpus)}"
        problems.append(Problem(f"resources.limits.{GPU}", f"asks for {wanted.gpus} GPUs; {has}"))
    return problems
