"""What the server remembers between calls: parsed trials of recent experiments. No answer depends on it."""

from __future__ import annotations

import threading
from collections import OrderedDict

from suggestion_services.history import DeltaHistory, FullHistory
from suggestion_services.search import Search


class Memory:
    """One experiment's parsed trials. Whoever uses them holds the lock."""

    def __init__(self, width: int) -> None:
        self.lock = threading.Lock()
        self.delta = DeltaHistory(width)
        self.full = FullHistory(width)

    def __len__(self) -> int:
        return len(self.delta) + len(self.full)


class Cache:
    """Memories of the experiments used last: at most so many experiments, and so many trials in all."""

    def __init__(self, experiments: int = 256, trials: int = 500_000) -> None:
        self._experiments = experiments
        self._trials = trials
        self._memories: OrderedDict[bytes, Memory] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, search: Search) -> Memory:
        """The experiment's memory, new where there is none; others are dropped to keep the bounds."""
        with self._lock:
            memory = self._memories.get(search.key)
            if memory is None:
                memory = self._memories[search.key] = Memory(len(search.space.dimensions))
            self._memories.move_to_end(search.key)
            while len(self._memories) > 1 and self._too_much():
                self._memories.popitem(last=False)
            return memory

    def _too_much(self) -> bool:
        return len(self._memories) > self._experiments or sum(map(len, self._memories.values())) > self._trials
