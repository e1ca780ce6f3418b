"""Which pods are an attempt's: a kind that puts a new pod in the place of a failed one has begun another attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from katib_py.backends.k8s.pods import Pod

GONE: Final = "Gone"  # the phase of a pod that has vanished before it had ended


@dataclass(slots=True)
class Primaries:
    """The primary pods of one run object, those that have vanished included.

    `attempt` is the one that is looked at, `begun` the one that the object was created for.
    """

    labels: Mapping[str, str]
    container: str
    attempt: int
    begun: int = 1
    _pods: dict[str, Pod] = field(default_factory=dict)
    _generations: list[list[str]] = field(default_factory=list)
    _expected: int | None = None

    def see(self, pods: Iterable[Pod]) -> None:
        """Take in the run's pods as they are."""
        there = {pod.uid: pod for pod in pods if pod.is_primary(self.labels, self.container)}
        for uid, pod in self._pods.items():
            if uid not in there and not pod.ended:
                self._pods[uid] = replace(pod, phase=GONE)
        new = [pod for uid, pod in there.items() if uid not in self._pods]
        self._pods.update(there)
        for pod in sorted(new, key=lambda pod: (pod.created, pod.name)):
            self._place(pod)
        if self._expected is None and self._pods:
            # Pods of earlier attempts that nobody saw may be gone, but none can be of a later one.
            self._expected = min(self.attempts, self.attempt - self.begun + 1)

    @property
    def attempts(self) -> int:
        """How many attempts the pods are of."""
        return sum(1 + self._restarts(generation) for generation in self._generations)

    @property
    def over(self) -> bool:
        """Whether what is there is of a later attempt."""
        return self._expected is not None and self.attempts > self._expected

    @property
    def newest(self) -> list[Pod]:
        """The pods of the last attempt."""
        return [self._pods[uid] for uid in self._generations[-1]] if self._generations else []

    @property
    def replaced(self) -> list[Pod]:
        """The pods of the attempts before."""
        return [self._pods[uid] for generation in self._generations[:-1] for uid in generation]

    def _place(self, pod: Pod) -> None:
        """It belongs to the others, unless all of these had failed when it was made."""
        if self._generations and not all(_failed_by(pod.created, other) for other in self.newest):
            self._generations[-1].append(pod.uid)
        else:
            self._generations.append([pod.uid])

    def _restarts(self, generation: list[str]) -> int:
        """How often the container of a lone pod was run again; of several, one may be without the others."""
        return self._pods[generation[0]].container(self.container).restarts if len(generation) == 1 else 0


def _failed_by(moment: str, pod: Pod) -> bool:
    if pod.phase == GONE:
        return True
    if pod.left and pod.phase != "Succeeded":
        return pod.left <= moment
    return pod.phase == "Failed" and pod.finished <= moment
