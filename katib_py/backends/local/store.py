"""The engine's store on SQL: one transaction per turn of the loop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, bindparam, select, update

from katib_py.backends.local.database import Database, Fence
from katib_py.backends.local.events import record_events
from katib_py.backends.local.tables import EXPERIMENTS, HOLDER, INSERTS, LEASES, SUGGESTIONS, TRIALS, UNUSED, AnyRow
from katib_py.controller.ports import Change, Key, Prior, Stored, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound
from katib_py.core.experiment import Experiment
from katib_py.core.record import pack, pack_assignment, unpack, unpack_assignment
from katib_py.core.trial import TrialRecord


class SqlStore:
    """The Store port on a SQL database; one engine at a time writes an experiment (see `lease`)."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ids: dict[Key, int] = {}

    async def load(self, key: Key) -> Stored:
        """The experiment with its live trials and unused assignments; raises NotFound, StoreUnavailable."""
        number, stored = await self._database.look(partial(_load, key))
        self._ids[key] = number
        return stored

    async def finished(self, key: Key, after: int, limit: int) -> Sequence[TrialRecord]:
        """Up to `limit` finished trials in order of finishing, from number `after` (from 0) on."""
        values = {"experiment": await self._id(key), "after": after, "limit": limit}
        return await self._database.look(partial(_finished, values))

    async def commit(self, key: Key, change: Change) -> Mapping[str, str]:
        """Write the change whole; raises Conflict where the store has moved on, Held, NotFound, StoreUnavailable."""
        work = partial(_commit, await self._id(key), key, change, self._database.fence)
        await self._database.run(work, asks=True)
        return {}

    async def refresh(self, key: Key, generation: int) -> Stored | None:
        """The experiment if its spec was changed since `generation`; raises Held, and NotFound once it was deleted."""
        values = {"experiment": await self._id(key)}
        if await self._database.look(partial(_generation, key, values, self._database.fence)) == generation:
            return None
        return await self.load(key)

    async def prior(self, key: Key, limit: int) -> Prior:
        """Another experiment of the database, and its newest finished trials; raises NotFound, StoreUnavailable."""
        return await self._database.look(partial(_prior, key, limit))

    async def _id(self, key: Key) -> int:
        if key not in self._ids:
            await self.load(key)
        return self._ids[key]


_LOAD: Final = (
    select(
        EXPERIMENTS.c.id,
        EXPERIMENTS.c.generation,
        EXPERIMENTS.c.object,
        EXPERIMENTS.c.status,
        SUGGESTIONS.c.requests,
        SUGGESTIONS.c.assigned,
        SUGGESTIONS.c.ended,
        SUGGESTIONS.c.failed,
        SUGGESTIONS.c.settings,
    )
    .join(SUGGESTIONS, SUGGESTIONS.c.experiment == EXPERIMENTS.c.id)
    .where(EXPERIMENTS.c.namespace == bindparam("namespace"), EXPERIMENTS.c.name == bindparam("name"))
)
_LIVE: Final = (
    select(TRIALS.c.state, TRIALS.c.body)
    .where(TRIALS.c.experiment == bindparam("experiment"), TRIALS.c.finish_order.is_(None))
    .order_by(TRIALS.c.number)
)
_FINISHED: Final = (
    select(TRIALS.c.body)
    .where(TRIALS.c.experiment == bindparam("experiment"), TRIALS.c.finish_order >= bindparam("after"))
    .order_by(TRIALS.c.finish_order)
    .limit(bindparam("limit"))
)
_NEWEST: Final = (
    select(TRIALS.c.body)
    .where(TRIALS.c.experiment == bindparam("experiment"), TRIALS.c.finish_order.is_not(None))
    .order_by(TRIALS.c.finish_order.desc())
    .limit(bindparam("limit"))
)
_GENERATION: Final = (
    select(EXPERIMENTS.c.generation, *HOLDER)
    .join(LEASES, LEASES.c.experiment == EXPERIMENTS.c.id, isouter=True)
    .where(EXPERIMENTS.c.id == bindparam("experiment"))
)
# With who holds the lease: to ask for that alone would cost a commit twenty times as much.
_COUNTS: Final = (
    select(SUGGESTIONS.c.assigned, SUGGESTIONS.c.finished, *HOLDER)
    .join(LEASES, LEASES.c.experiment == SUGGESTIONS.c.experiment, isouter=True)
    .where(SUGGESTIONS.c.experiment == bindparam("key"))
    .with_for_update(of=SUGGESTIONS)
)
_SET_COUNTS: Final = update(SUGGESTIONS).where(SUGGESTIONS.c.experiment == bindparam("key"))
_SET_STATUS: Final = update(EXPERIMENTS).where(EXPERIMENTS.c.id == bindparam("key"))


def experiment_of(row: AnyRow) -> Experiment:
    """The experiment of a row that has `object` and `status`."""
    return Experiment.model_validate({**json.loads(row.object), "status": json.loads(row.status)})


def suggestion_of(row: AnyRow) -> SuggestionRecord:
    """The suggestion record of a row of that table."""
    settings = tuple((name, value) for name, value in json.loads(row.settings))
    return SuggestionRecord(row.requests, row.assigned, row.ended, row.failed, settings)


def _load(key: Key, connection: Connection) -> tuple[int, Stored]:
    row = connection.execute(_LOAD, key._asdict()).first()
    if row is None:
        raise NotFound(f"there is no experiment {key.name} in namespace {key.namespace}")
    live = connection.execute(_LIVE, {"experiment": row.id}).all()
    stored = Stored(
        experiment_of(row),
        row.generation,
        suggestion_of(row),
        tuple(unpack_assignment(body) for state, body in live if state == UNUSED),
        tuple(unpack(body) for state, body in live if state != UNUSED),
    )
    return row.id, stored


def _prior(key: Key, limit: int, connection: Connection) -> Prior:
    number, stored = _load(key, connection)
    newest = connection.execute(_NEWEST, {"experiment": number, "limit": limit}).scalars().all()
    return Prior(stored.experiment, [unpack(body) for body in reversed(newest)])


def _finished(values: dict[str, int], connection: Connection) -> list[TrialRecord]:
    return [unpack(body) for body in connection.execute(_FINISHED, values).scalars()]


def _generation(key: Key, values: dict[str, int], fence: Fence | None, connection: Connection) -> int:
    row = connection.execute(_GENERATION, values).first()
    if row is None:
        raise NotFound(f"the experiment {key.name} was deleted")
    if fence is not None:
        fence.check(row)
    return int(row.generation)


def _commit(experiment: int, key: Key, change: Change, fence: Fence | None, connection: Connection) -> None:
    counts = connection.execute(_COUNTS, {"key": experiment}).first()
    if counts is None:
        raise NotFound(f"the experiment {key.name} was deleted")
    if fence is not None:
        fence.check(counts)
    if change.assignments and counts.assigned != change.assigned_before:
        raise Conflict(f"{counts.assigned} assignments are recorded, not {change.assigned_before}")
    rows, finished = _rows(experiment, change, counts.finished)
    values = _suggestion_values(change)
    if finished != counts.finished:
        values["finished"] = finished
    if values:
        connection.execute(_SET_COUNTS, {"key": experiment, **values})
    if rows:
        connection.execute(_UPSERTS[connection.dialect.name], rows)
    if change.status is not None:
        connection.execute(_SET_STATUS, {"key": experiment, "status": _text(change.status)})
    if change.events:
        record_events(experiment, change.events, connection)


def _rows(experiment: int, change: Change, finished: int) -> tuple[list[dict[str, Any]], int]:
    """The rows of `trials` to write, and how many trials have finished then."""
    rows: dict[int, dict[str, Any]] = {}
    for item in change.assignments:
        rows[item.index] = _row(experiment, item.index, item.name, UNUSED, pack_assignment(item))
    for trial in change.trials.values():
        number = trial.assignment.index
        rows[number] = row = _row(experiment, number, trial.name, trial.state.value, pack(trial))
        if trial.state.finished:
            row["finish_order"] = finished
            finished += 1
    return list(rows.values()), finished


def _row(experiment: int, number: int, name: str, state: str, body: str) -> dict[str, Any]:
    return {
        "experiment": experiment,
        "number": number,
        "name": name,
        "state": state,
        "finish_order": None,
        "body": body,
    }


def _suggestion_values(change: Change) -> dict[str, Any]:
    """The columns of `suggestions` that the change sets."""
    if (record := change.suggestion) is not None:
        values = {"requests": record.requests, "assigned": record.assigned, "ended": record.ended}
        return {**values, "failed": record.failed, "settings": _text(record.settings)}
    if change.assignments:
        return {"assigned": change.assigned_before + len(change.assignments)}
    return {}


def _upsert(dialect: str) -> Any:
    statement = INSERTS[dialect](TRIALS)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[TRIALS.c.experiment, TRIALS.c.number],
        set_={"name": new.name, "state": new.state, "finish_order": new.finish_order, "body": new.body},
        # What has finished never changes again.
        where=TRIALS.c.finish_order.is_(None),
    )


_UPSERTS: Final = {dialect: _upsert(dialect) for dialect in INSERTS}


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
