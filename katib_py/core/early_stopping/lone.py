"""Live data for stoppers that look at one trial alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from katib_py.core.early_stopping.stopper import Stop, number_of
from katib_py.core.trial import TrialState


class Watch(Protocol):
    """What a stopper remembers of one trial."""

    def add(self, value: float) -> Stop | None:
        """Take the next value in; the decision to stop, if this value brings one about."""


class LoneStanding:
    """A watch for each running trial."""

    def __init__(self, metric: str, watch: Callable[[], Watch]) -> None:
        self.metric = metric
        self._watch = watch
        self._live: dict[str, Watch] = {}

    def begin(self, trial: str) -> None:
        """Forget what the trial's earlier attempts measured."""
        self._live.pop(trial, None)

    def measured(self, trial: str, value: str) -> str | None:
        """Take the next value in; the reason to stop the trial, if there is one."""
        number = number_of(value)
        if number is None:
            return None
        watch = self._live.get(trial)
        if watch is None:
            watch = self._live[trial] = self._watch()
        stop = watch.add(number)
        return stop.reason if stop else None

    def finished(self, trial: str, state: TrialState) -> None:
        """What the trial measured is of no more use."""
        self._live.pop(trial, None)


def watched(watch: Watch, values: Iterable[float]) -> Stop | None:
    """The decision on the last of a whole series."""
    stop = None
    for value in values:
        stop = watch.add(value)
    return stop
