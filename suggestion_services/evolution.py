"""An evolution strategy told from its trials: generation after generation, from what each trial was labelled with.

Whoever lost all memory comes to the same distribution. Trials that finish after their generation was closed count for
it all the same, so no result is thrown away; trials without labels fill up generations in their canonical order.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import EARLY_STOPPED, FAILED, METRICS_UNAVAILABLE, SUCCEEDED, Labels, Request
from suggestion_services.mixed import Layout, Mixed, population

PREFIX: Final = "cmaes.suggestion.katib.kubeflow.org"
RUN: Final = f"{PREFIX}/run"
GENERATION: Final = f"{PREFIX}/generation"
MEMBER: Final = f"{PREFIX}/member"

COUNTED: Final = (SUCCEEDED, EARLY_STOPPED, FAILED, METRICS_UNAVAILABLE)
# When a run has converged (Hansen 2009): no spread of the points, or of the best losses, is left.
SMALLEST_DEVIATION: Final = 1e-9
SMALLEST_SPREAD: Final = 1e-12
LARGEST_CONDITION: Final = 1e14
RESTART: Final = 7  # keeps the randomness of restarts apart from that of assignments
KEPT_BYTES: Final = 64 << 20


class Members(NamedTuple):
    """Finished trials of one generation, the best first; `finite` counts those with a result."""

    points: Floats
    losses: Floats
    labels: Sequence[Labels]
    finite: int


@dataclass(frozen=True)
class Plan:
    """What does not change during a search."""

    layout: Layout
    seed: int
    deviations: Floats
    size: int
    strategy: str

    def generator(self, number: int) -> np.random.Generator:
        """The randomness of assignment number `number`."""
        return np.random.default_rng((self.seed, number))

    @property
    def key(self) -> bytes:
        """What a state depends on besides the trials."""
        words = f"{self.seed} {self.size} {self.strategy} {self.layout.space.names} {self.layout.space.size}"
        return _digest(words.encode() + self.deviations.tobytes())


@dataclass(frozen=True)
class State:
    """Where the strategy stands: the run since the last restart, and its distribution.

    `spent`: evaluations of large and of small runs (BIPOP: Hansen, GECCO 2009). `best`: the best loss of each of the
    last generations. `key`: a digest of all that led here.
    """

    key: bytes
    mixed: Mixed
    size: int
    run: int = 0
    generation: int = 0
    doublings: int = 0
    large: bool = True
    spent: tuple[int, int] = (0, 0)
    best: tuple[float, ...] = ()

    def labels(self, number: int) -> tuple[tuple[str, str], ...]:
        """What a proposal of this state is labelled with."""
        return (RUN, str(self.run)), (GENERATION, str(self.generation)), (MEMBER, str(number))


def first(plan: Plan) -> State:
    """The state before any trial."""
    mean = np.full(len(plan.layout.ordered), 0.5)
    return State(plan.key, Mixed.start(plan.layout, mean, plan.deviations), plan.size)


def replay(plan: Plan, request: Request) -> State:
    """The state after the request's trials."""
    results = _Results(request)
    labelled, others = results.generations()
    state = first(plan)
    while True:
        rows = list(labelled.get((str(state.run), str(state.generation)), ()))
        while others and len(rows) < state.size:
            rows.append(others.popleft())
        if len(rows) < state.size:
            return state
        key = _digest(state.key + results.told(rows))
        known = _states.get(key)
        if known is None:
            known = _updated(plan, state, results.members(rows), key)
            _states.keep(key, known)
        state = known


class _Results:
    """A request's trials as an evolution strategy reads them."""

    def __init__(self, request: Request) -> None:
        self._trials = request.trials
        self._labels = request.labels
        # Lost ones have no loss, and come last.
        lost = np.isin(self._trials.states, (FAILED, METRICS_UNAVAILABLE))
        self._losses = np.where(lost, np.nan, self._trials.losses)

    def generations(self) -> tuple[dict[tuple[str, str], list[int]], deque[int]]:
        """Rows by run and generation; apart, those that were labelled by somebody else, or by nobody."""
        labelled: dict[tuple[str, str], list[int]] = {}
        others: deque[int] = deque()
        for row in np.flatnonzero(np.isin(self._trials.states, COUNTED)).tolist():
            own = self._labels[row]
            if RUN in own and GENERATION in own:
                labelled.setdefault((own[RUN], own[GENERATION]), []).append(row)
            else:
                others.append(row)
        return labelled, others

    def told(self, rows: Sequence[int]) -> bytes:
        """All that a generation of these rows says."""
        numbers = " ".join(self._labels[row].get(MEMBER, "") for row in rows)
        arrays = (self._trials.points, self._losses, self._trials.states)
        return b"".join((*(array[rows].tobytes() for array in arrays), numbers.encode()))

    def members(self, rows: Sequence[int]) -> Members:
        """These trials, the best first; what was stopped early showed less than it has, so it follows the others."""
        losses, stopped = self._losses[rows], self._trials.states[rows] == EARLY_STOPPED
        order = np.array(rows)[np.lexsort((losses, stopped, np.isnan(losses)))]
        labels = [self._labels[row] for row in order]
        finite = int(np.isfinite(losses).sum())
        return Members(self._trials.points[order], self._losses[order], labels, finite)


class _States:
    """States by the digest of what led to them, the ones used last."""

    def __init__(self) -> None:
        self._states: OrderedDict[bytes, State] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: bytes) -> State | None:
        with self._lock:
            if key not in self._states:
                return None
            self._states.move_to_end(key)
            return self._states[key]

    def keep(self, key: bytes, state: State) -> None:
        with self._lock:
            if key not in self._states:
                self._states[key] = state
                self._bytes += _size(state)
            while self._bytes > KEPT_BYTES and len(self._states) > 1:
                self._bytes -= _size(self._states.popitem(last=False)[1])


_states = _States()


def _size(state: State) -> int:
    width = state.mixed.gaussian.width
    # The covariance and its eigenvectors, and what an object takes.
    return 2 * 8 * width * width + 8 * state.mixed.categories.shares.size + 4_000


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()


def _updated(plan: Plan, state: State, members: Members, key: bytes) -> State:
    (large, small), count = state.spent, len(members.points)
    spent = (large + count, small) if state.large else (large, small + count)
    mixed, best = state.mixed, state.best
    if members.finite:
        positions, categories = _drawn(plan, state, members)
        mixed = mixed.after(plan.layout, positions, categories)
        window = 10 + math.ceil(30 * plan.layout.width / count)
        best = (*best, float(members.losses[0]))[-window:]
        if plan.strategy != "none" and _converged(plan.layout, mixed, best, window):
            return _restarted(plan, replace(state, key=key, spent=spent))
    return replace(state, key=key, mixed=mixed, generation=state.generation + 1, spent=spent, best=best)


def _drawn(plan: Plan, state: State, members: Members) -> tuple[Floats, Floats]:
    """Positions and categories of the members: where a value was rounded, the position from which it was."""
    layout, points = plan.layout, members.points
    positions = layout.positions(points)
    for row, labels in enumerate(() if layout.all_continuous else members.labels):
        number = labels.get(MEMBER, "")
        if number.isdecimal():
            drawn = state.mixed.sample(plan.generator(int(number)))
            # Another one where results that came late have changed the distribution since.
            if np.array_equal(layout.point(*drawn), points[row]):
                positions[row] = drawn[0]
    return positions, points[:, layout.unordered]


def _converged(layout: Layout, mixed: Mixed, best: Sequence[float], window: int) -> bool:
    if len(best) == window and max(best) - min(best) <= SMALLEST_SPREAD * max(1.0, abs(best[-1])):
        return True
    if not mixed.gaussian.width:
        return False
    # A countable dimension keeps its margin, and a category its least share: they never stand still.
    still = layout.all_continuous and not len(layout.unordered)
    if still and mixed.gaussian.deviations.max() < SMALLEST_DEVIATION:
        return True
    return mixed.gaussian.condition > LARGEST_CONDITION


def _restarted(plan: Plan, state: State) -> State:
    """A new run from a random mean: IPOP doubles the population; BIPOP also runs small ones on an equal budget."""
    generator = np.random.default_rng((plan.seed, RESTART, state.run))
    mean = generator.random(len(plan.layout.ordered))
    deviations, doublings, large = plan.deviations, state.doublings, True
    if plan.strategy == "bipop" and state.spent[1] < state.spent[0] and state.doublings:
        large = False
        share = generator.random() ** 2
        size = math.floor(plan.size * (0.5 * 2**doublings) ** share)
        deviations = deviations * 10 ** (-2 * generator.random())
    else:
        doublings += 1
        size = plan.size * 2**doublings
    mixed = Mixed.start(plan.layout, mean, deviations)
    return State(state.key, mixed, max(size, plan.size), state.run + 1, 0, doublings, large, state.spent)


def plan_of(request: Request, deviations: Floats, size: int | None, strategy: str) -> Plan:
    """The plan of a request's search; `deviations` are those of the ordered dimensions."""
    layout = Layout(request.space)
    return Plan(layout, request.seed, deviations, size or population(layout), strategy)
