"""What the collectors beside a run's pods left in their termination messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from katib_py.backends.k8s.pods import Pod
from katib_py.core.objective import Metric
from katib_py.core.summary import read_summary


class Left(NamedTuple):
    """`observation` is of a collector that could not report all that it read; the log then knows less than it."""

    observation: tuple[Metric, ...] = ()
    seen: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, pods: Iterable[Pod]) -> Left:
        """What is left in these pods; of several that could not report, the last one's observation."""
        found = cls()
        for name, summary in {pod.name: read_summary(pod.summary) for pod in pods}.items():
            if summary is None:
                continue
            notes = (*found.notes, *summary.notes)
            if not summary.reported:
                notes = (*notes, f"the collector of pod {name} could not report everything: {summary.reason}")
            observation = found.observation if summary.reported else summary.observation or found.observation
            found = cls(observation, (*found.seen, *summary.seen), notes)
        return found
