"""Trials from best to worst by several objectives and outcome constraints.

A trial that keeps to the constraints is better than any that does not, of two that do not the one that exceeds them
less (Deb 2000). Among the others the fronts count (Deb et al. 2002); single-objective searches never come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from katib_py.core.pareto import crowding
from suggestion_services.arrays import Booleans, Floats, Integers
from suggestion_services.contract import EARLY_STOPPED, SUCCEEDED, Trials

# Points by which the volume that a set dominates is estimated, and how far beyond the worst its corner lies.
SAMPLES: Final = 2048
BEYOND: Final = 1.1

# Of one front's losses so many rows, the best first.
Choose = Callable[[Floats, int], Integers]


def plainly_judged(trials: Trials) -> bool:
    """Whether there is one objective and nothing else."""
    return trials.further is None and trials.excess is None


def measured(trials: Trials) -> Booleans:
    """Which trials have a value of every objective."""
    unknown = np.isnan(trials.losses) if trials.further is None else np.any(np.isnan(trials.objectives), axis=1)
    found: Booleans = np.isin(trials.states, (SUCCEEDED, EARLY_STOPPED)) & ~unknown
    return found


def excess(trials: Trials) -> Floats:
    """By how much each trial exceeds the outcome constraints in all."""
    total: Floats = np.sum(trials.violations, axis=1)
    return total


def best_by_volume(trials: Trials, count: int) -> Integers:
    """The best measured trials, best first; of a front those that dominate most together (Ozaki et al. 2020)."""
    return _best(trials, count, most_volume)


def best_by_crowding(trials: Trials, count: int) -> Integers:
    """The best measured trials, best first; of a front those in the emptiest places (Deb et al. 2002)."""
    return _best(trials, count, _least_crowded)


def fronts(losses: Floats) -> Iterator[Integers]:
    """The rows that no other dominates, then those that only they dominate, and so on."""
    left = np.arange(len(losses))
    while len(left):
        on_front = _nondominated(losses[left])
        yield left[on_front]
        left = left[~on_front]


def most_volume(losses: Floats, count: int) -> Integers:
    """Rows of one front, each the one that adds most to the volume that those before it dominate (greedy)."""
    low, high = losses.min(axis=0), losses.max(axis=0)
    scaled = (losses - low) / np.where(high > low, high - low, 1.0)
    samples = np.random.default_rng(0).random((SAMPLES, losses.shape[1])) * BEYOND
    free = np.all(scaled[:, None, :] <= samples, axis=2)
    chosen: list[int] = []
    left = np.ones(len(losses), dtype=bool)
    for _ in range(min(count, len(losses))):
        gains = np.where(left, free.sum(axis=1), -1)
        row = int(np.argmax(gains))
        chosen.append(row)
        left[row] = False
        free &= ~free[row]
    return np.array(chosen, dtype=np.int64)


def _least_crowded(losses: Floats, count: int) -> Integers:
    apart = np.array(crowding([tuple(row) for row in losses.tolist()]))
    return np.argsort(-apart, kind="stable")[:count]


def _best(trials: Trials, count: int, choose: Choose) -> Integers:
    known, beyond = measured(trials), excess(trials)
    feasible = np.flatnonzero(known & (beyond == 0))
    losses = _finite(trials.objectives[feasible])
    found: list[Integers] = []
    wanted = count
    for front in fronts(losses):
        if wanted <= 0:
            break
        found.append(feasible[front[choose(losses[front], wanted)]])
        wanted -= len(found[-1])
    if wanted > 0:
        others = np.flatnonzero(known & (beyond > 0))
        by_loss = trials.losses[others]
        found.append(others[np.lexsort((by_loss, beyond[others]))][:wanted])
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _finite(losses: Floats) -> Floats:
    """Infinite losses as the largest finite ones, so that distances exist."""
    return np.nan_to_num(losses, posinf=1e300, neginf=-1e300) / 1e10 if np.isinf(losses).any() else losses


def _nondominated(losses: Floats) -> Booleans:
    """Which rows no other row dominates."""
    kept = np.arange(len(losses))
    at = 0
    while at < len(kept):
        here = losses[kept[at]]
        not_beaten = np.any(losses[kept] < here, axis=1) | np.all(losses[kept] == here, axis=1)
        at = int(not_beaten[:at].sum()) + 1
        kept = kept[not_beaten]
    found = np.zeros(len(losses), dtype=bool)
    found[kept] = True
    return found
