"""The machine's CPUs, GPUs and fixed ports, shared by every engine through one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, insert, select

from katib_py.backends.local.holder import Holder
from katib_py.backends.local.resources import Demand, Machine
from katib_py.backends.local.tables import SLOTS

CPU: Final = "cpu"
GPU: Final = "gpu"
PORT: Final = "port"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a run got: its GPUs, by the names that CUDA knows."""

    gpus: tuple[str, ...] = ()


class Shortage(NamedTuple):
    """Why a run must wait, as a reason and in words."""

    reason: str
    detail: str


class Slots:
    """Takes and gives back slots; every method runs inside the caller's transaction.

    A row belongs to the run's folder and is cleared when neither the engine that took it nor the run lives.
    """

    def __init__(self, machine: Machine, running: Callable[[str], bool]) -> None:
        self._machine = machine
        self._running = running
        self._holder = Holder.current()

    def take(self, connection: Connection, run: str, demand: Demand) -> Grant | Shortage:
        """Take the slots for a run, all or none."""
        rows = self._held(connection, run)
        cpu = sum(row.amount for row in rows if row.resource == CPU)
        if cpu + demand.cpu > self._machine.cpu:
            free = max(0, self._machine.cpu - cpu) / 1000
            return Shortage("WaitingForCPU", f"needs {demand.cpu / 1000:g} CPUs; {free:g} are free")
        # By name: the first GPU of an engine with other CUDA_VISIBLE_DEVICES is another one.
        taken = {str(row.unit) for row in rows if row.resource == GPU}
        free_gpus = [name for name in self._machine.gpus if name not in taken]
        if demand.gpus > len(free_gpus):
            return Shortage("WaitingForGPU", f"needs {demand.gpus} GPUs; {len(free_gpus)} are free")
        if any(row.resource == PORT and str(row.unit) == str(demand.port) for row in rows):
            return Shortage("WaitingForPort", f"another trial listens on port {demand.port}")
        grant = Grant(tuple(free_gpus[: demand.gpus]))
        self._write(connection, run, demand, grant)
        return grant

    def keep(self, connection: Connection, run: str) -> None:
        """The run was taken over from an engine that is gone: its slots are held by this one now."""
        connection.execute(SLOTS.update().where(SLOTS.c.run == run).values(self._holder._asdict()))

    def give_back(self, connection: Connection, runs: Iterable[str]) -> None:
        """The runs have ended."""
        connection.execute(delete(SLOTS).where(SLOTS.c.run.in_(list(runs))))

    def _held(self, connection: Connection, run: str) -> list[Any]:
        """Every slot of this machine that somebody else holds; what the dead held is cleared."""
        ours = select(SLOTS).where(SLOTS.c.host == self._holder.host)
        rows = [row for row in connection.execute(ours) if row.run != run]
        dead = {row.run for row in rows if not self._lives(row)}
        self.give_back(connection, {*dead, run})
        return [row for row in rows if row.run not in dead]

    def _lives(self, row: Any) -> bool:
        holder = Holder(row.host, row.pid, row.started)
        return holder == self._holder or holder.alive() or self._running(row.run)

    def _write(self, connection: Connection, run: str, demand: Demand, grant: Grant) -> None:
        wanted = [(GPU, name, 1) for name in grant.gpus]
        if demand.cpu:
            wanted.append((CPU, "", demand.cpu))
        if demand.port is not None:
            wanted.append((PORT, str(demand.port), 1))
        rows = [
            {"run": run, "resource": resource, "unit": unit, "amount": amount, **self._holder._asdict()}
            for resource, unit, amount in wanted
        ]
        if rows:
            connection.execute(insert(SLOTS), rows)
