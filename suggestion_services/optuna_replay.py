"""A study replayed: every trial is asked for and told again, so that what a sampler keeps is as it would be.

The replayed study is kept, under the digest of all that was replayed. A later request that goes on from there plays
only what is new; one that does not, plays everything. Both get the same study.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from suggestion_services.contract import ACTIVE, Marked
from suggestion_services.optuna_samplers import optuna
from suggestion_services.optuna_study import Frame, verdict

# How many finished trials a proposal was made with; comes back with its trial.
TOLD: Final = "optuna.suggestion.katib.kubeflow.org/told"
KEPT: Final = 64


class Event(NamedTuple):
    """A trial is asked for (`told` is None), or the trial number `told` of those asked for has ended."""

    trial: Marked
    told: int | None

    def digest(self, before: bytes) -> bytes:
        """The digest of all events up to this one."""
        what = self.trial.point.tobytes() if self.told is None else repr((self.told, *self.trial[3:])).encode()
        return hashlib.blake2b(before + what, digest_size=16).digest()


def events(trials: Sequence[Marked]) -> Iterator[Event]:
    """Asking and telling in the order in which they happened, as far as labels tell; else one after another."""
    finished = [trial for trial in trials if trial.state not in ACTIVE]
    known = [_told(trial, place) for place, trial in enumerate(trials)]
    numbers: dict[str, int] = {}
    told = 0
    for place in sorted(range(len(trials)), key=known.__getitem__):
        while told < min(known[place], len(finished)) and finished[told].name in numbers:
            yield Event(finished[told], numbers[finished[told].name])
            told += 1
        numbers[trials[place].name] = len(numbers)
        yield Event(trials[place], None)
    for trial in finished[told:]:
        yield Event(trial, numbers[trial.name])


def _told(trial: Marked, place: int) -> int:
    text = trial.labels.get(TOLD, "")
    return min(int(text), place) if text.isdecimal() else place


@dataclass(slots=True)
class Replay:
    """A study after some events."""

    study: Any
    asked: int = 0

    def play(self, frame: Frame, event: Event) -> None:
        """Let one more happen."""
        if event.told is not None:
            self._tell(event.told, event.trial)
            return
        self.study.enqueue_trial(frame.params(event.trial.point))
        frame.suggest(self.study.ask(), sampled=True)
        self.asked += 1

    def ask(self, frame: Frame, count: int) -> list[dict[str, Any]]:
        """New proposals."""
        return [frame.suggest(self.study.ask(), sampled=False) for _ in range(count)]

    def _tell(self, number: int, trial: Marked) -> None:
        state, value = verdict(trial.state, trial.loss)
        if state is optuna().trial.TrialState.PRUNED:
            # A pruned trial is told without a value: it has that of its last step.
            optuna().trial.Trial(self.study, self.study.trials[number]._trial_id).report(value, 1)
            value = None
        self.study.tell(number, value, state=state)


class Replays:
    """The studies replayed last."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._replays: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def after(self, start: bytes, begin: Callable[[], Any], frame: Frame, happened: Sequence[Event]) -> Replay:
        """A study after these events, to be used up; `start` names all that it begins with."""
        digests = [start]
        for event in happened:
            digests.append(event.digest(digests[-1]))
        place, kept = self._longest(digests)
        replay = pickle.loads(kept) if kept is not None else Replay(begin())  # noqa: S301 - our own bytes
        for event in happened[place:]:
            replay.play(frame, event)
        self._keep(digests[place], digests[-1], replay)
        return replay

    def _longest(self, digests: Sequence[bytes]) -> tuple[int, bytes | None]:
        with self._lock:
            for place in reversed(range(len(digests))):
                if (kept := self._replays.get(digests[place])) is not None:
                    return place, kept
        return 0, None

    def _keep(self, old: bytes, new: bytes, replay: Replay) -> None:
        try:
            kept = pickle.dumps(replay)
        except Exception:  # noqa: BLE001 - whatever a third party's sampler holds: then it is replayed each time
            return
        with self._lock:
            self._replays.pop(old, None)
            self._replays[new] = kept
            while len(self._replays) > self._kept:
                self._replays.popitem(last=False)
