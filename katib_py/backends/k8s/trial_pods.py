"""The pods of all trials, filed by trial: with our label, or with one that names its run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from katib_py.backends.k8s.api import Api, Selection
from katib_py.backends.k8s.informer import Informer, Name
from katib_py.backends.k8s.kinds import listed
from katib_py.backends.k8s.pods import Pod, slim
from katib_py.backends.k8s.resources import PODS
from katib_py.core.names import LABEL_TRIAL


class TrialPods:
    """Watches pods; `changed` is told of which trial."""

    def __init__(self, api: Api, namespace: str, changed: Callable[[Name], None]) -> None:
        self._api = api
        self._namespace = namespace
        self._changed = changed
        self._by_trial: dict[Name, dict[str, Pod]] = {}
        self._informers: dict[str, Informer[Pod]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._watch(LABEL_TRIAL, LABEL_TRIAL)

    async def watched(self, naming: str) -> None:
        """Return once pods are known, those too whose label `naming` names their run; raises ApiError if never."""
        if naming and naming not in self._informers:
            # One that has both labels is told of once.
            self._watch(naming, f"{naming},!{LABEL_TRIAL}")
        for key in (LABEL_TRIAL, naming):
            if key:
                await listed(self._informers[key])

    def of(self, trial: Name) -> list[Pod]:
        """The pods of a trial that are known."""
        return list(self._by_trial.get(trial, {}).values())

    async def look_up(self, trial: Name, naming: str) -> list[Pod]:
        """A trial's pods as they are now: the watch may be behind the run object's. Raises ApiError."""
        found: list[Pod] = []
        for key in filter(None, (LABEL_TRIAL, naming)):
            async for page in self._api.pages(PODS, Selection(trial.namespace, f"{key}={trial.name}")):
                found += [slim(item, key) for item in page.items]
        return list({pod.uid: pod for pod in found}.values())

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _watch(self, naming: str, labels: str) -> None:
        form = partial(slim, naming=naming)
        informer = Informer(self._api, PODS, form, self._pod_changed, Selection(self._namespace, labels))
        self._informers[naming] = informer
        self._tasks.append(asyncio.create_task(informer.run()))

    def _pod_changed(self, name: Name, old: Pod | None, new: Pod | None) -> None:
        pod = new or old
        assert pod is not None
        trial = Name(pod.namespace, pod.trial)
        held = self._by_trial.setdefault(trial, {})
        if new is not None:
            held[new.uid] = new
        if old is not None and (new is None or new.uid != old.uid):
            held.pop(old.uid, None)
        if not held:
            del self._by_trial[trial]
        self._changed(trial)
