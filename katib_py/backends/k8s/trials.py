"""The Trials of the cluster, a few facts of each: for gauges, for sweeping, and to see what others do to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.owners import controller_of, owned_by
from katib_py.backends.k8s.resources import TRIALS, Resource
from katib_py.core.names import LABEL_EXPERIMENT
from katib_py.core.trial import TrialState


class Trial(NamedTuple):
    """A Trial object: `state` is its last condition's type, `told` whether an early stopping service stopped it."""

    uid: str
    experiment: str
    state: str
    finished: bool
    told: bool
    retain: bool


# An experiment of which a Trial was deleted, or told to stop, by somebody else.
Disturbed = Callable[[Name], None]
Gone = Callable[[Name], None]
Look = Callable[[Resource, Json], None]


class Trials:
    """Watches every Trial; `gone` is told of each that was deleted, `look` is shown each as it is.

    `kinds` are the apiVersion and kind of every run object that is not to be kept.
    """

    def __init__(self, api: Api, namespace: str, disturbed: Disturbed, gone: Gone, look: Look) -> None:
        self.kinds: set[tuple[str, str]] = set()
        self._disturbed = disturbed
        self._gone = gone
        self._look = look
        self._api = api
        self._selection = Selection(namespace)
        self._informer: Informer[Trial] = Informer(api, TRIALS, self._slim, self._changed, self._selection)

    async def run(self) -> None:
        """Watch; never returns."""
        await self._informer.run()

    async def ready(self) -> None:
        """Return once all are known."""
        await self._informer.ready()

    def get(self, name: Name) -> Trial | None:
        """The trial as last seen."""
        return self._informer.get(name)

    def items(self) -> Iterator[tuple[Name, Trial]]:
        """Every trial."""
        return self._informer.items()

    async def uids(self) -> set[str]:
        """Those of the trials that are there at this moment, as the API server has it; raises ApiError."""
        pages = self._api.pages(TRIALS, self._selection)
        return {item["metadata"]["uid"] async for page in pages for item in page.items}

    def _slim(self, document: Json) -> Trial:
        self._look(TRIALS, document)
        trial, run = slim(document), _mapping(_mapping(document.get("spec")).get("runSpec"))
        if run.get("kind") and not trial.retain:
            self.kinds.add((str(run.get("apiVersion", "")), str(run["kind"])))
        return trial

    def _changed(self, name: Name, old: Trial | None, new: Trial | None) -> None:
        if old is None:
            return
        if new is None:
            self._gone(name)
        gone = new is None and not old.finished
        stopped = new is not None and new.told and not old.told
        if gone or stopped:
            self._disturbed(Name(name.namespace, old.experiment))


FINISHED = frozenset(state.value for state in TrialState if state.finished)


def slim(document: Json) -> Trial:
    """The facts of a Trial object; one that Katib's own definitions let in may hold anything."""
    metadata, status = document["metadata"], _mapping(document.get("status"))
    found = status.get("conditions")
    conditions = [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []
    held = {str(entry.get("type")) for entry in conditions if entry.get("status") == "True"}
    ended = bool(held & FINISHED)
    told = TrialState.EARLY_STOPPED.value in held and not status.get("completionTime")
    return Trial(
        metadata["uid"],
        _experiment(document),
        str(conditions[-1].get("type")) if conditions else "Unknown",
        ended and not told,
        told,
        bool(_mapping(document.get("spec")).get("retainRun")),
    )


def _experiment(document: Json) -> str:
    """The name of the Trial's experiment, also of one that is not labelled with it yet."""
    labels = document["metadata"].get("labels") or {}
    return str(labels.get(LABEL_EXPERIMENT) or controller_of(document).get("name", ""))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


async def owned_trials(api: Api, namespace: str, labels: str, experiment_uid: str) -> AsyncIterator[Json]:
    """The Trials with these labels that belong to this very experiment, as objects; raises Expired between pages."""
    async for page in api.pages(TRIALS, Selection(namespace, labels)):
        for item in page.items:
            if owned_by(item, experiment_uid):
                yield item
