"""What every experiment of a controller shares: the API, and one watch of all pods and run objects of trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from katib_py.backends.k8s.api import Api, Json
from katib_py.backends.k8s.disposal import Disposal
from katib_py.backends.k8s.informer import Name
from katib_py.backends.k8s.kinds import Kinds
from katib_py.backends.k8s.resources import JOBS, Resource
from katib_py.backends.k8s.streams import Streams
from katib_py.backends.k8s.trial_pods import TrialPods
from katib_py.backends.k8s.warning_events import WarningEvents


class Follower(Protocol):
    """Follows one trial's run."""

    def object_changed(self, resource: Resource, document: Json) -> None:
        """An object with the trial's name is as given."""

    def object_gone(self, resource: Resource, uid: str) -> None:
        """The object of that uid is gone."""

    def pods_changed(self) -> None:
        """One of the run's pods is new, different or gone."""


class Cluster:
    """Tells each trial's follower of its objects. Made and used inside a running loop."""

    def __init__(self, api: Api, namespace: str = "") -> None:
        self.api = api
        self.namespace = namespace
        self.disposal = Disposal(api)
        self.streams = Streams()
        self.warnings = WarningEvents(api)
        self._followers: dict[Name, Follower] = {}
        self.kinds = Kinds(api, namespace, self._object_changed)
        self.kinds.watch(JOBS)
        self.pods = TrialPods(api, namespace, self._pods_changed)

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

    async def close(self) -> None:
        """Stop watching."""
        await self.pods.close()
        await self.kinds.close()
        await self.disposal.close()

    def _object_changed(self, resource: Resource, name: Name, uid: str, document: Json | None) -> None:
        # A run object has its trial's name.
        follower = self._followers.get(name)
        if follower is None:
            return
        if document is None:
            follower.object_gone(resource, uid)
        else:
            follower.object_changed(resource, document)

    def _pods_changed(self, trial: Name) -> None:
        if (follower := self._followers.get(trial)) is not None:
            follower.pods_changed()
