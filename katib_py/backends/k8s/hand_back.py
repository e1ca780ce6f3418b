"""Katib's controllers get their experiments back: each is left as they go on from it, once it has come to rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from katib_py.backends.k8s.api import Json
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.errors import Absent, ApiError
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.owners import owned_by
from katib_py.backends.k8s.resources import EXPERIMENTS, SUGGESTIONS
from katib_py.backends.k8s.supervisor import Version, leaves, version_of
from katib_py.backends.k8s.trials import owned_trials
from katib_py.core.admission import missing_defaults
from katib_py.core.errors import Conflict
from katib_py.core.hand_back import obstacles, suggestion_changes
from katib_py.core.names import LABEL_EXPERIMENT
from katib_py.core.read_trial import read_trial

LOOK_SECONDS: Final = 1.0
SAY_SECONDS: Final = 10.0
NAMED: Final = 10

log = logging.getLogger(__name__)


class HandBack:
    """Looks at the experiments that `seen` shows; `rests` says whether nothing of one is under way any more."""

    def __init__(self, cluster: Cluster, seen: Informer[Json], rests: Callable[[Name], bool]) -> None:
        self._api = cluster.api
        self._kinds = cluster.kinds
        self._seen = seen
        self._rests = rests
        self._given: dict[Name, Version] = {}
        self._said: tuple[str, float] = ("", 0.0)

    async def run(self) -> None:
        """Hand back; never returns."""
        while True:
            await self._look()
            self._say(asyncio.get_running_loop().time())
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        for name, document in list(self._seen.items()):
            if name in self._waiting() and self._rests(name):
                try:
                    await self._give(name, document)
                except (ApiError, Conflict) as error:
                    log.warning("experiment %s/%s is not handed back yet: %s", *name, error)
                else:
                    self._given[name] = version_of(document)

    def _waiting(self) -> list[Name]:
        """The experiments that are not handed back yet."""
        return [
            name
            for name, document in self._seen.items()
            if self._given.get(name) != version_of(document) and not leaves(document)
        ]

    def _say(self, now: float) -> None:
        waiting = sorted(f"{name.namespace}/{name.name}" for name in self._waiting())
        more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
        text = f"waiting for {', '.join(waiting[:NAMED])}{more}" if waiting else "every experiment is handed back"
        said, when = self._said
        if text != said and (not waiting or now - when >= SAY_SECONDS):
            log.info("%s", text)
            self._said = text, now

    async def _give(self, name: Name, document: Json) -> None:
        operations = missing_defaults(document)
        if operations:
            # Katib refuses to write an object of which its defaulting changes anything.
            await self._api.patch(EXPERIMENTS, name, operations)
        labels, uid = f"{LABEL_EXPERIMENT}={name.name}", document["metadata"]["uid"]
        trials = [trial async for trial in owned_trials(self._api, name.namespace, labels, uid)]
        await self._give_suggestion(name, uid, trials)
        for trial in trials:
            if not read_trial(trial).state.finished:
                await self._remove_run(trial)
        words = obstacles(document)
        log.info("experiment %s/%s is handed back%s", *name, f"; Katib {' and '.join(words)}" if words else "")

    async def _remove_run(self, trial: Json) -> None:
        """A run that was held back for a later attempt goes: Katib would take it for one that runs, and makes none."""
        where, uid = (trial["metadata"]["namespace"], trial["metadata"]["name"]), trial["metadata"]["uid"]
        with suppress(Absent):
            resource = await self._kinds.resource(trial["spec"].get("runSpec") or {})
            there = await self._api.get(resource, *where)
            if owned_by(there, uid):
                await self._api.delete(resource, where, there["metadata"]["uid"], "Foreground")

    async def _give_suggestion(self, name: Name, uid: str, trials: list[Json]) -> None:
        try:
            suggestion = await self._api.get(SUGGESTIONS, *name)
        except Absent:
            return
        if not owned_by(suggestion, uid):
            return
        spec, status = suggestion_changes(suggestion, trials)
        version = {"resourceVersion": suggestion["metadata"]["resourceVersion"]}
        if any(suggestion["spec"].get(key) != value for key, value in spec.items()):
            written = await self._api.patch(SUGGESTIONS, name, {"metadata": version, "spec": spec})
            version = {"resourceVersion": written["metadata"]["resourceVersion"]}
        await self._api.patch(SUGGESTIONS, name, {"metadata": version, "status": status}, "status")
