"""The run object of one attempt: created, or taken over, then kept as the watch shows it, and ended."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final

from katib_py.backends.k8s.api import Json
from katib_py.backends.k8s.cluster import Cluster
from katib_py.backends.k8s.errors import Absent, ApiError, Refused
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.owners import owned_by
from katib_py.backends.k8s.pods import Pod
from katib_py.backends.k8s.resources import Resource
from katib_py.backends.k8s.site import Site
from katib_py.controller.ports import RunOrder, RunPhase
from katib_py.core.errors import Conflict
from katib_py.core.names import ANNOTATION_ATTEMPT, ANNOTATION_SUSPENDED
from katib_py.core.switches import ending, going_on, is_ended
from katib_py.core.trial import TrialState

STOP_SECONDS: Final = 300.0  # by then a run that was told to stop counts as stopped, whatever is left of it

# Has the observation log know of an attempt before it can report; raises StoreUnavailable.
Announce = Callable[[RunOrder], Awaitable[None]]


@dataclass(slots=True)
class RunObject:
    """`document` is the object as last seen, also once it is `gone`; {} until there is one."""

    cluster: Cluster
    site: Site
    order: RunOrder
    announce: Announce
    document: Json = field(default_factory=dict)
    gone: bool = False
    resource: Resource | None = None
    _earlier: frozenset[str] = frozenset()  # uids of pods that were there before it
    _tried: bool = False  # whether we have tried to make it
    _news: Json = field(default_factory=dict)  # what the watch told last
    _lost: set[str] = field(default_factory=set)  # uids of objects of which it told that they are gone
    _began: float = field(default_factory=time.monotonic)

    @property
    def trial(self) -> Name:
        """Whose run it is; it has this name too."""
        return Name(self.order.document["metadata"]["namespace"], self.order.name)

    @property
    def uid(self) -> str:
        """The uid that the API server gave it; "" until there is one."""
        return str(self.document["metadata"]["uid"]) if self.document else ""

    @property
    def begun(self) -> int:
        """The attempt that it was created for, or let go on for."""
        annotations = self.document["metadata"].get("annotations") or {}
        text = annotations.get(ANNOTATION_ATTEMPT, "")
        return int(text) if text.isdecimal() else 1

    @property
    def ending(self) -> bool:
        """Whether somebody told it to end; if it fails then, it is because of that."""
        metadata = self.document["metadata"]
        return "deletionTimestamp" in metadata or ANNOTATION_SUSPENDED in (metadata.get("annotations") or {})

    @property
    def may_exist(self) -> bool:
        """Whether somebody, or a try of ours that seemed to fail, may have made it."""
        return self._tried or not self.order.fresh or self.order.trial.attempt > 1

    def pods(self) -> list[Pod]:
        """Its pods, as far as they are known: none of an earlier object of this name."""
        uid, made = self.uid, self.document["metadata"].get("creationTimestamp", "")
        known = (pod for pod in self.cluster.pods.of(self.trial) if pod.uid not in self._earlier)
        return [pod for pod in known if uid in {pod.owner, pod.uid} or pod.created >= made]

    def changed(self, resource: Resource, document: Json) -> None:
        """An object of its name is as given; it may be one of an earlier attempt, or of another kind."""
        if resource == self.resource and owned_by(document, self.order.trial_uid):
            self._news = document
            if self.uid == document["metadata"]["uid"]:
                self.document = document

    def vanished(self, resource: Resource, uid: str) -> None:
        """An object of its name is gone."""
        if resource == self.resource:
            self._lost.add(uid)
            self.gone = self.gone or uid == self.uid

    # Beginning

    async def obtain(self) -> RunPhase | None:
        """Have it there; ABSENT or LOST where it is not and is not to be made. Raises ApiError, StoreUnavailable."""
        self.resource = await self.cluster.kinds.resource(self.order.document)
        try:
            # What cannot be watched is not started.
            await self.cluster.kinds.watched(self.resource)
            await self._know_pods()
            there = await self._look() if self.may_exist else None
            return await (self._make() if there is None else self._take(there))
        except Absent:
            self.cluster.kinds.discovery.forget(self.order.document)
            raise

    async def adopt(self) -> bool:
        """Take over what is there, whether anything is; raises ApiError."""
        self.order = replace(self.order, adopt_only=True)
        return await self.obtain() is None

    async def _know_pods(self) -> None:
        try:
            await self.cluster.pods.watched(self.site.naming(self.order.document))
        except ApiError:
            if self.site.format is not None:
                raise

    async def _look(self) -> Json | None:
        """The object of this name, if it is this trial's."""
        assert self.resource is not None
        try:
            there = await self.cluster.api.get(self.resource, *self.trial)
        except Absent:
            return None
        if not owned_by(there, self.order.trial_uid):
            words = f"a {there['kind']} {self.trial.name} that is not this trial's is there already"
            raise ApiError(409, "NameTaken", words)
        return there

    async def _make(self) -> RunPhase | None:
        order = self.order
        if order.adopt_only:
            return RunPhase.ABSENT
        if order.trial.state is TrialState.RUNNING:
            return RunPhase.LOST
        known = self.cluster.pods.of(self.trial)
        if any(not pod.ended for pod in known) and time.monotonic() - self._began < STOP_SECONDS:
            raise ApiError(409, "Terminating", f"pods of an earlier attempt of {self.trial.name} are still there")
        await self.announce(order)
        assert self.resource is not None
        self._tried = True
        self._earlier = frozenset(pod.uid for pod in known)
        body = self.site.object(order.document, order.trial_uid, order.trial.attempt)
        self._hold(await self.cluster.api.create(self.resource, self.trial.namespace, body))
        return None

    async def _take(self, there: Json) -> RunPhase | None:
        """Take over what is there, as far as it is of this attempt."""
        order, metadata = self.order, there["metadata"]
        to_end = order.trial.stop is not None
        if metadata.get("deletionTimestamp") and not to_end and order.trial.state is not TrialState.RUNNING:
            words = f"the {there['kind']} {self.trial.name} of an earlier attempt is still there"
            raise ApiError(409, "Terminating", words)
        if ANNOTATION_SUSPENDED in (metadata.get("annotations") or {}) and not to_end:
            if order.adopt_only:
                return RunPhase.ABSENT  # it was ended, and waits for its next attempt
            there = await self._let_go_on(there)
        if not to_end:
            await self.announce(order)
        self._hold(there)
        return None

    async def _let_go_on(self, there: Json) -> Json:
        assert self.resource is not None
        verdict, patch = self.site.verdict(there), going_on(there)
        if verdict is not None and verdict[0]:
            return there
        if verdict is not None or patch is None:
            await self.cluster.api.delete(self.resource, self.trial, there["metadata"]["uid"], "Foreground")
            raise ApiError(409, "Terminating", f"the {there['kind']} {self.trial.name} cannot go on, and is made anew")
        self._earlier = frozenset(pod.uid for pod in self.cluster.pods.of(self.trial))
        annotations = {ANNOTATION_SUSPENDED: None, ANNOTATION_ATTEMPT: str(self.order.trial.attempt)}
        body = {"metadata": {"annotations": annotations}, **patch}
        return await self.cluster.api.patch(self.resource, self.trial, body)

    def _hold(self, there: Json) -> None:
        """What the watch has told of this very object meanwhile is newer."""
        same = self._news and self._news["metadata"]["uid"] == there["metadata"]["uid"]
        self.document = self._news if same else there
        self.gone = self.uid in self._lost

    # Ending

    async def end(self, keep: bool) -> None:
        """Have its pods ended; with `keep` the object stays if its kind can. Raises ApiError."""
        patch = ending(self.document) if keep else None
        if patch is None or not await self._throw_switch(patch):
            await self.delete()

    async def delete(self) -> None:
        """Have it deleted, and everything that belongs to it before; raises ApiError."""
        assert self.resource is not None
        with suppress(Absent, Conflict):  # gone, or another one already
            await self.cluster.api.delete(self.resource, self.trial, self.uid, "Foreground")

    async def _throw_switch(self, patch: dict[str, Any]) -> bool:
        """Whether the kind's switch could be thrown: of an older version it may be unknown."""
        assert self.resource is not None
        body = {"metadata": {"uid": self.uid, "annotations": {ANNOTATION_SUSPENDED: "true"}}, **patch}
        try:
            return is_ended(await self.cluster.api.patch(self.resource, self.trial, body))
        except (Absent, Conflict, Refused):
            return False
