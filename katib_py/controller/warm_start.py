"""The trials of earlier experiments from which a search starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from katib_py.controller.board import Board
from katib_py.controller.ports import Key, Store
from katib_py.core.errors import NotFound, Problem, Rejected, show
from katib_py.core.status import read_status
from katib_py.core.trial import TrialRecord
from katib_py.core.warm_start import fitting

MOST_TRIALS: Final = 1000  # of one experiment, the newest


@dataclass(frozen=True, slots=True)
class Priors:
    """What can be taken for observations, and what its author should know of the rest."""

    trials: tuple[TrialRecord, ...]
    notes: tuple[str, ...]


async def priors_of(board: Board, store: Store) -> Priors:
    """What spec.warmStart means; raises Rejected with every problem, StoreUnavailable.

    Once the experiment has begun it is not given up for what has become of another: that is only noted.
    """
    trials: list[TrialRecord] = []
    notes: list[str] = []
    problems: list[Problem] = []
    for index, name in enumerate(board.experiment.spec.warm_start):
        try:
            found, note = await _from(board, store, name)
        except NotFound:
            found, note = (), f"names {show(name)}, which does not exist in namespace {board.key.namespace}"
        trials.extend(found)
        if note and not found:
            problems.append(Problem(f"spec.warmStart[{index}]", note))
        elif note:
            notes.append(f"spec.warmStart[{index}] {note}")
    if problems and not board.suggestion.assigned:
        raise Rejected(problems)
    return Priors(tuple(trials), (*notes, *_words(problems)))


async def _from(board: Board, store: Store, name: str) -> tuple[Sequence[TrialRecord], str]:
    """The trials of one experiment that fit, and what is to be said of the others."""
    prior = await store.prior(Key(board.key.namespace, name), MOST_TRIALS)
    if read_status(prior.experiment.status).verdict is None:
        return (), f"names {show(name)}, which has not ended"
    fit = fitting(board.experiment.spec, prior.finished)
    if not fit.trials and not fit.others:
        return (), f"names {show(name)}, which has no finished trial"
    if not fit.others:
        return fit.trials, ""
    known = fit.others + len(fit.trials)
    return fit.trials, f"names {show(name)}, of whose {known} trials {fit.others} are not used: {fit.reasons}"


def _words(problems: Iterable[Problem]) -> Iterable[str]:
    return (f"{problem.path} {problem.message}" for problem in problems)
