"""The store's other side: what the command line creates, edits, lists and deletes."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from katib_py.backends.local.absent import no_experiment, no_trial
from katib_py.backends.local.database import Database
from katib_py.backends.local.store import experiment_of, suggestion_of
from katib_py.backends.local.tables import EVENTS, EXPERIMENTS, SUGGESTIONS, TRIALS, UNUSED, AnyRow
from katib_py.controller.ports import Event, EventType, Key, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound
from katib_py.core.experiment import Experiment
from katib_py.core.record import unpack, unpack_assignment
from katib_py.core.status import time_text
from katib_py.core.trial import Assignment, TrialRecord, TrialState, trial_uid
from katib_py.observations import database as observations


class Applied(StrEnum):
    """What `apply` did."""

    CREATED = "created"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class CountedEvent(NamedTuple):
    """An event, when it was first seen and how often."""

    event: Event
    first: float
    times: int


class Catalog:
    """The experiments of one database and what belongs to them; calls block.

    Every method raises StoreUnavailable where the database cannot be used.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(self, experiment: Experiment, now: float) -> tuple[Experiment, Applied]:
        """Have this experiment stored: a new one gets a uid, of a known one the spec, labels and annotations change.

        `now` is seconds since the epoch, UTC. Status and uid are the store's own; those of the argument are ignored.
        """
        return self._database.run_now(partial(_apply, experiment, now))

    def get(self, key: Key) -> Experiment:
        """The experiment with its newest status; raises NotFound."""
        return self._database.look_now(lambda connection: experiment_of(_row(key, connection)))

    def experiments(self, namespace: str | None = None) -> list[Experiment]:
        """Every experiment, of one namespace or of all, by namespace and name."""
        query = select(EXPERIMENTS.c.object, EXPERIMENTS.c.status).order_by(EXPERIMENTS.c.namespace, EXPERIMENTS.c.name)
        if namespace is not None:
            query = query.where(EXPERIMENTS.c.namespace == namespace)
        return self._database.look_now(lambda connection: [experiment_of(row) for row in connection.execute(query)])

    def suspend(self, key: Key, suspended: bool) -> Experiment:
        """Set spec.suspend; raises NotFound."""
        return self._database.run_now(partial(_suspend, key, suspended))

    def delete(self, key: Key) -> list[str]:
        """Delete the experiment and all that it owns in the database, and return its trials' names; raises NotFound.

        Its runs must have ended. Their folders are the caller's to remove.
        """
        return self._database.run_now(partial(_delete, key))

    def trials(
        self, key: Key, after: int = -1, limit: int = 500, states: Sequence[TrialState] = ()
    ) -> list[TrialRecord]:
        """Up to `limit` trials by number, those above `after`; raises NotFound."""
        return self._database.look_now(partial(_trials, key, after, limit, states))

    def trial(self, namespace: str, name: str) -> tuple[Key, TrialRecord]:
        """A trial of any experiment of the namespace, and whose it is; raises NotFound."""
        return self._database.look_now(partial(_trial, namespace, name))

    def suggestion(self, key: Key) -> tuple[SuggestionRecord, list[Assignment]]:
        """The experiment's suggestion record and its unused assignments; raises NotFound."""
        return self._database.look_now(partial(_suggestion, key))

    def events(self, key: Key) -> list[CountedEvent]:
        """The events of the experiment and its trials, oldest first; raises NotFound."""
        return self._database.look_now(partial(_events, key))


def _row(key: Key, connection: Connection) -> AnyRow:
    query = select(EXPERIMENTS).where(EXPERIMENTS.c.namespace == key.namespace, EXPERIMENTS.c.name == key.name)
    row = connection.execute(query).first()
    if row is None:
        raise no_experiment(connection, key)
    return row


def _apply(experiment: Experiment, now: float, connection: Connection) -> tuple[Experiment, Applied]:
    try:
        row = _row(Key(experiment.metadata.namespace, experiment.name), connection)
    except NotFound:
        return _create(experiment, now, connection), Applied.CREATED
    old, new = json.loads(row.object), _body(experiment)
    changed = old.get("spec") != new.get("spec")
    wanted = {**new, "metadata": {**new["metadata"], **_given(old["metadata"])}}
    if wanted == old:
        return experiment_of(row), Applied.UNCHANGED
    _replace(row, wanted, changed, connection)
    return experiment_of(_row(Key(row.namespace, row.name), connection)), Applied.CHANGED


def _create(experiment: Experiment, now: float, connection: Connection) -> Experiment:
    uid = str(uuid.uuid4())
    body = _body(experiment)
    metadata = {"namespace": experiment.metadata.namespace, "uid": uid, "creationTimestamp": time_text(now)}
    body["metadata"] = {**body["metadata"], **metadata}
    values = {"uid": uid, "namespace": experiment.metadata.namespace, "name": experiment.name, "created": now}
    values |= {"generation": 1, "object": json.dumps(body), "status": "{}"}
    number = connection.execute(insert(EXPERIMENTS), values).inserted_primary_key
    if number is None:
        raise Conflict(f"the experiment {experiment.name} was not numbered")
    counts = {"requests": 0, "assigned": 0, "finished": 0, "ended": False, "failed": "", "settings": "[]"}
    connection.execute(insert(SUGGESTIONS), {"experiment": number[0], **counts})
    return Experiment.model_validate(body)


def _body(experiment: Experiment) -> dict[str, Any]:
    """What is stored of an experiment as its user wrote it."""
    body: dict[str, Any] = json.loads(json.dumps(experiment.dump()))
    body.pop("status", None)
    return body


def _given(metadata: dict[str, Any]) -> dict[str, Any]:
    """The part of metadata that the store gave."""
    return {name: metadata[name] for name in ("namespace", "uid", "creationTimestamp")}


def _replace(row: AnyRow, body: dict[str, Any], spec_changed: bool, connection: Connection) -> None:
    values = {"object": json.dumps(body), "generation": row.generation + spec_changed}
    connection.execute(update(EXPERIMENTS).where(EXPERIMENTS.c.id == row.id), values)


def _suspend(key: Key, suspended: bool, connection: Connection) -> Experiment:
    row = _row(key, connection)
    body = json.loads(row.object)
    if bool(body["spec"].get("suspend")) != suspended:
        body["spec"]["suspend"] = suspended
        _replace(row, body, True, connection)
    return experiment_of(_row(key, connection))


def _delete(key: Key, connection: Connection) -> list[str]:
    row = _row(key, connection)
    names = list(connection.execute(select(TRIALS.c.name).where(TRIALS.c.experiment == row.id)).scalars())
    uids = [{"uid": trial_uid(row.uid, name)} for name in names]
    for table in (observations.logs, observations.runs, observations.stops) if uids else ():
        connection.execute(delete(table).where(table.c.trial_uid == bindparam("uid")), uids)
    connection.execute(delete(EXPERIMENTS).where(EXPERIMENTS.c.id == row.id))
    return names


def _trials(
    key: Key, after: int, limit: int, states: Sequence[TrialState], connection: Connection
) -> list[TrialRecord]:
    number = _row(key, connection).id
    query = select(TRIALS.c.body).where(TRIALS.c.experiment == number, TRIALS.c.number > after)
    wanted = TRIALS.c.state.in_([state.value for state in states]) if states else TRIALS.c.state != UNUSED
    query = query.where(wanted).order_by(TRIALS.c.number).limit(limit)
    return [unpack(body) for body in connection.execute(query).scalars()]


def _trial(namespace: str, name: str, connection: Connection) -> tuple[Key, TrialRecord]:
    query = (
        select(EXPERIMENTS.c.name, TRIALS.c.body)
        .join(TRIALS, TRIALS.c.experiment == EXPERIMENTS.c.id)
        .where(EXPERIMENTS.c.namespace == namespace, TRIALS.c.name == name, TRIALS.c.state != UNUSED)
    )
    row = connection.execute(query).first()
    if row is None:
        raise no_trial(connection, namespace, name)
    return Key(namespace, row.name), unpack(row.body)


def _suggestion(key: Key, connection: Connection) -> tuple[SuggestionRecord, list[Assignment]]:
    number = _row(key, connection).id
    record = connection.execute(select(SUGGESTIONS).where(SUGGESTIONS.c.experiment == number)).one()
    unused = select(TRIALS.c.body).where(TRIALS.c.experiment == number, TRIALS.c.state == UNUSED)
    bodies = connection.execute(unused.order_by(TRIALS.c.number)).scalars()
    return suggestion_of(record), [unpack_assignment(body) for body in bodies]


def _events(key: Key, connection: Connection) -> list[CountedEvent]:
    number = _row(key, connection).id
    query = select(EVENTS).where(EVENTS.c.experiment == number).order_by(EVENTS.c.last, EVENTS.c.id)
    return [_event(row) for row in connection.execute(query)]


def _event(row: AnyRow) -> CountedEvent:
    columns = row._mapping
    event = Event(row.kind, row.name, EventType(row.type), row.reason, row.message, row.last)
    return CountedEvent(event, row.first, columns["count"])
