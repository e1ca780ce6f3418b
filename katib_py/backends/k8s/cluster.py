"""What every experiment of a controller shares: the API, and one watch of all pods and run objects of trials."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol

from katib_py.backends.k8s import pods
from katib_py.backends.k8s.api import Api, Json, Selection
from katib_py.backends.k8s.disposal import Disposal
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.kinds import Kinds
from katib_py.backends.k8s.pods import Pod
from katib_py.backends.k8s.resources import PODS
from katib_py.backends.k8s.streams import Streams
from katib_py.core.names import LABEL_TRIAL


class Follower(Protocol):
    """Follows one trial's run."""

    def object_changed(self, document: Json) -> None:
        """The run object is as given."""

    def object_gone(self, uid: str) -> None:
        """The run object with this uid is gone."""

    def pods_changed(self) -> None:
        """One of the run's pods is new, different or gone."""


class Cluster:
    """Tells each trial's follower of its objects. Made and used inside a running loop."""

    def __init__(self, api: Api, namespace: str = "") -> None:
        self.api = api
        self.namespace = namespace
        self.disposal = Disposal(api)
        self.streams = Streams()
        self.kinds = Kinds(api, namespace, self._object_changed)
        self._pods = Informer(api, PODS, pods.slim, self._pod_changed, Selection(namespace, LABEL_TRIAL))
        self._by_trial: dict[Name, dict[str, Pod]] = {}
        self._followers: dict[Name, Follower] = {}
        self._task = asyncio.create_task(self._pods.run())

    def follow(self, trial: Name, follower: Follower) -> Callable[[], None]:
        """Tell this follower of the trial's objects from now on; returns what ends it."""
        self._followers[trial] = follower

        def leave() -> None:
            if self._followers.get(trial) is follower:
                del self._followers[trial]

        return leave

    def follows(self, trial: Name) -> bool:
        """Whether somebody follows this trial."""
        return trial in self._followers

    def pods_of(self, trial: Name) -> Iterator[Pod]:
        """The pods of a trial that are known."""
        return iter(list(self._by_trial.get(trial, {}).values()))

    @property
    def trouble(self) -> str:
        """Why pods cannot be watched, if they cannot."""
        return self._pods.trouble

    async def look_up_pods(self, trial: Name) -> None:
        """Ask for a trial's pods now: the watch may be behind the run object's. Raises ApiError."""
        async for page in self.api.pages(PODS, Selection(trial.namespace, f"{LABEL_TRIAL}={trial.name}")):
            for item in page.items:
                pod = pods.slim(item)
                self._by_trial.setdefault(trial, {})[pod.name] = pod

    async def close(self) -> None:
        """Stop watching."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.kinds.close()
        await self.disposal.close()

    def _object_changed(self, name: Name, old: Json | None, new: Json | None) -> None:
        # A run object has its trial's name.
        follower = self._followers.get(name)
        if follower is None:
            return
        if new is not None:
            follower.object_changed(new)
        elif old is not None:
            follower.object_gone(old["metadata"]["uid"])

    def _pod_changed(self, name: Name, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        assert pod is not None
        trial = Name(pod.namespace, pod.trial)
        held = self._by_trial.setdefault(trial, {})
        if new is None:
            held.pop(name.name, None)
            if not held:
                del self._by_trial[trial]
        else:
            held[name.name] = new
        if (follower := self._followers.get(trial)) is not None:
            follower.pods_changed()
