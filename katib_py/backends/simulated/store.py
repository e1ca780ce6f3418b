"""The store port in memory; a finished trial is kept as its packed text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from katib_py.controller.ports import Change, Event, Key, Prior, Stored, SuggestionRecord
from katib_py.core.errors import Conflict, NotFound
from katib_py.core.experiment import Experiment
from katib_py.core.record import pack, unpack
from katib_py.core.trial import Assignment, TrialRecord


@dataclass(slots=True)
class _Kept:
    experiment: Experiment
    generation: int = 1
    suggestion: SuggestionRecord = field(default_factory=SuggestionRecord)
    unused: dict[str, Assignment] = field(default_factory=dict)
    live: dict[str, TrialRecord] = field(default_factory=dict)
    finished: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    status: dict[str, Any] = field(default_factory=dict)


class MemoryStore:
    """Experiments of one process."""

    def __init__(self) -> None:
        self._kept: dict[Key, _Kept] = {}

    def put(self, experiment: Experiment) -> Key:
        """Create the experiment, or replace its spec; the caller has set metadata.uid."""
        key = Key(experiment.metadata.namespace, experiment.name)
        kept = self._kept.get(key)
        if kept is None:
            self._kept[key] = _Kept(experiment)
        else:
            kept.experiment, kept.generation = experiment, kept.generation + 1
        return key

    def status(self, key: Key) -> dict[str, Any]:
        """The status as last written."""
        return self._of(key).status

    def events(self, key: Key) -> list[Event]:
        """What was told of the experiment."""
        return self._of(key).events

    def delete(self, key: Key) -> None:
        """Forget the experiment."""
        del self._kept[key]

    async def load(self, key: Key) -> Stored:
        """The experiment with its live trials and unused assignments; raises NotFound."""
        kept = self._of(key)
        experiment = kept.experiment.model_copy(update={"status": kept.status})
        return Stored(
            experiment, kept.generation, kept.suggestion, tuple(kept.unused.values()), tuple(kept.live.values())
        )

    async def finished(self, key: Key, after: int, limit: int) -> Sequence[TrialRecord]:
        """Finished trials in order of finishing."""
        return [unpack(text) for text in self._of(key).finished[after : after + limit]]

    async def commit(self, key: Key, change: Change) -> Mapping[str, str]:
        """Write the change; raises Conflict where more assignments are recorded than the change knows of."""
        kept = self._of(key)
        if change.assignments and change.assigned_before != kept.suggestion.assigned:
            raise Conflict(f"{kept.suggestion.assigned} assignments are recorded, not {change.assigned_before}")
        kept.unused.update((assignment.name, assignment) for assignment in change.assignments)
        kept.suggestion = change.suggestion or kept.suggestion
        for name, trial in change.trials.items():
            kept.unused.pop(name, None)
            if trial.state.finished:
                kept.live.pop(name, None)
                kept.finished.append(pack(trial))
            else:
                kept.live[name] = trial
        kept.events.extend(change.events)
        kept.status = change.status if change.status is not None else kept.status
        return {}

    async def refresh(self, key: Key, generation: int) -> Stored | None:
        """The experiment if its spec was replaced since `generation`."""
        return None if self._of(key).generation == generation else await self.load(key)

    async def prior(self, key: Key, limit: int) -> Prior:
        """An experiment of any state, and its newest finished trials."""
        stored = await self.load(key)
        return Prior(stored.experiment, [unpack(text) for text in self._of(key).finished[-limit:]])

    def _of(self, key: Key) -> _Kept:
        try:
            return self._kept[key]
        except KeyError:
            raise NotFound(f"experiment {key.name!r} in namespace {key.namespace!r}") from None
