"""What is said of an experiment or trial that is not there: the nearest name, or where to look."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Select, or_, select

from katib_py.backends.local.tables import EXPERIMENTS, TRIALS, UNUSED
from katib_py.controller.ports import Key
from katib_py.core.errors import NotFound
from katib_py.core.parse import MAX_KNOWN, nearest

END: Final = 4  # all trials of an experiment begin alike: near is one that shares all but its end, or the end


def no_experiment(connection: Connection, key: Key) -> NotFound:
    """The error for an experiment that is not there."""
    missing = f"there is no experiment {key.name} in namespace {key.namespace}"
    elsewhere = select(EXPERIMENTS.c.namespace).where(EXPERIMENTS.c.name == key.name)
    if namespaces := _names(connection, elsewhere):
        return NotFound(f"{missing}, but in {namespaces[0]}: add -n {namespaces[0]}")
    owner = _trials(select(EXPERIMENTS.c.name), key.namespace).where(TRIALS.c.name == key.name)
    if owners := _names(connection, owner):
        return NotFound(f"{missing}; {key.name} is a trial of experiment {owners[0]}")
    names = _names(connection, select(EXPERIMENTS.c.name).where(EXPERIMENTS.c.namespace == key.namespace))
    if (meant := nearest(key.name, names)) is not None:
        return NotFound(f"{missing}; did you mean {meant}?")
    return NotFound(f"{missing}; to see those that are there: katib-py get experiments{_option(key.namespace)}")


def no_trial(connection: Connection, namespace: str, name: str) -> NotFound:
    """The error for a trial that is not there."""
    missing = f"there is no trial {name} in namespace {namespace}"
    alike = or_(
        TRIALS.c.name.startswith(name[:-END], autoescape=True), TRIALS.c.name.endswith(name[-END:], autoescape=True)
    )
    names = _names(connection, _trials(select(TRIALS.c.name), namespace).where(alike))
    if len(name) > END and (meant := nearest(name, names)) is not None:
        return NotFound(f"{missing}; did you mean {meant}?")
    experiments = _names(connection, select(EXPERIMENTS.c.name).where(EXPERIMENTS.c.namespace == namespace))
    if (meant := nearest(name, experiments)) is not None:
        words = f"to see those of experiment {meant}: katib-py get trials {meant}"
    else:
        words = "to see those that are there: katib-py get trials"
    return NotFound(f"{missing}; {words}{_option(namespace)}")


def _names(connection: Connection, query: Select[Any]) -> list[str]:
    """One name more than can be compared, so that too many are seen to be so."""
    return list(connection.execute(query.limit(MAX_KNOWN + 1)).scalars())


def _trials(query: Select[Any], namespace: str) -> Select[Any]:
    joined = query.select_from(TRIALS).join(EXPERIMENTS, TRIALS.c.experiment == EXPERIMENTS.c.id)
    return joined.where(EXPERIMENTS.c.namespace == namespace, TRIALS.c.state != UNUSED)


def _option(namespace: str) -> str:
    return "" if namespace == "default" else f" -n {namespace}"
