"""What keeps a run that is there from getting on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from katib_py.backends.k8s.pods import Pod, Trouble
from katib_py.backends.k8s.run_object import RunObject
from katib_py.backends.k8s.troubles import of_object, of_pods
from katib_py.backends.k8s.warning_events import Warned

QUIET_SECONDS: Final = 3.0  # how long a run may be without pods, or a pod without a container, unasked
UNTOUCHED_SECONDS: Final = 20.0  # by then a controller has written something about an object of its kind


@dataclass(slots=True)
class Obstacles:
    """Looks at one run; times are of one monotonic clock."""

    run: RunObject
    said: Trouble | None = None  # why it does not get on, as far as somebody said so
    _quiet: float | None = None  # since when

    async def look(self, pods: list[Pod], now: float) -> Trouble | None:
        """What it waits for now."""
        run = self.run
        assert run.resource is not None
        informer = run.cluster.kinds.watch(run.resource)
        if informer.denied:
            return Trouble("NotWatched", f"{run.resource.plural} cannot be watched any more: {informer.trouble}")
        trouble = of_object(run.document) or of_pods(pods)
        left = [pod for pod in pods if not pod.ended]
        going = any(map(_begun, left)) if left else bool(pods)
        if trouble is not None or going:
            self._quiet = self.said = None
            return trouble
        self._quiet = now if self._quiet is None else self._quiet
        if now - self._quiet >= QUIET_SECONDS:
            self.said = await self._ask(left) or self.said or self._untouched(left, now)
        return self.said

    async def _ask(self, pods: list[Pod]) -> Trouble | None:
        """Why there are no pods (a quota, an admission webhook), or no containers (a volume), only events say."""
        concerns = _about_pods(pods) if pods else _about_run(self.run)
        return await self.run.cluster.warnings.newest(self.run.trial.namespace, concerns)

    def _untouched(self, pods: list[Pod], now: float) -> Trouble | None:
        since = self._quiet if self._quiet is not None else now
        if pods or self.run.document.get("status") or now - since < UNTOUCHED_SECONDS:
            return None
        kind = self.run.document["kind"]
        words = f"nothing was done about the {kind} {self.run.trial.name} yet: does the controller of its kind run?"
        return Trouble("NotStarted", words)


def _begun(pod: Pod) -> bool:
    return any(container.started for container in pod.containers.values())


def _about_pods(pods: list[Pod]) -> Callable[[Warned], bool]:
    uids = {pod.uid for pod in pods}
    return lambda event: event.uid in uids


def _about_run(run: RunObject) -> Callable[[Warned], bool]:
    """About the object, or one that its controller has made of it: these have its name before their own."""
    uid, name, made = run.uid, run.trial.name, run.document["metadata"].get("creationTimestamp", "")
    return lambda event: event.uid == uid or (event.name.startswith(f"{name}-") and event.time >= made)
