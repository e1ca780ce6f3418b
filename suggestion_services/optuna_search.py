"""Any sampler of Optuna (Akiba et al., KDD 2019) or OptunaHub as it is, made anew from every request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Final

import numpy as np

from katib_py.core.errors import InvalidInput, Problem
from suggestion_services.arrays import Floats
from suggestion_services.contract import ACTIVE, NO_LABELS, SUCCEEDED, Marked, Proposal, Request, random_state, rest
from suggestion_services.distinct import Distinct, draws
from suggestion_services.optuna_replay import TOLD, Replay, Replays, events
from suggestion_services.optuna_samplers import SETTINGS, STATELESS, make, optuna
from suggestion_services.optuna_study import Frame, verdict
from suggestion_services.space import Space

# Enough for most samplers to leave their random start.
TRIED: Final = 12
# How far from a proposal that was tried already the next one is, on each scale: genetic samplers copy parents.
NEAR: Final = 0.01
LARGEST_SEED: Final = 2**32 - 1
REPLAYS: Final = Replays()


@dataclass(frozen=True, slots=True)
class OptunaSearch:
    """Samplers that keep no state are given the trials; any other is led through them once more."""

    sampler: str = "TPESampler"
    random_state: int | None = random_state()
    arguments: tuple[tuple[str, str], ...] = rest("the sampler's arguments")

    learns: ClassVar[bool] = True
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> tuple[Problem, ...]:
        """Why the sampler cannot be had, does not take the space, or would not repeat itself after a restart."""
        return _problems(self, space)

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted."""
        frame, distinct = Frame(request.space), Distinct(request, meeting=True)
        trials = [trial for trial in request.history.marked() if not np.isnan(trial.point).any()]
        proposed, labels = self._proposed(request, frame, trials)
        found = []
        for number, params in enumerate(proposed, request.asked):
            generator = request.generator(number)
            point = distinct.first_new(_candidates(request.space, frame.point(params), generator), generator)
            found.append(Proposal(request.space.texts(point), labels))
        return found

    def _proposed(
        self, request: Request, frame: Frame, trials: Sequence[Marked]
    ) -> tuple[list[dict[str, Any]], tuple[tuple[str, str], ...]]:
        if self.sampler in STATELESS:
            seed = int(request.generator(request.asked).integers(LARGEST_SEED))
            study = _study(make(self.sampler, self.arguments, seed))
            study.add_trials([_told(frame, trial) for trial in trials])
            return Replay(study).ask(frame, request.count), ()
        seed = int(np.random.default_rng(request.seed).integers(LARGEST_SEED))
        replay = REPLAYS.after(
            repr((self, request.space.dimensions, seed)).encode(),
            lambda: _study(make(self.sampler, self.arguments, seed)),
            frame,
            list(events(trials)),
        )
        finished = sum(trial.state not in ACTIVE for trial in trials)
        return replay.ask(frame, request.count), ((TOLD, str(finished)),)


def _candidates(space: Space, point: Floats, generator: np.random.Generator) -> Iterator[Floats]:
    """What the sampler proposed; where that was tried, of a continuum a point near it, else any."""
    yield point
    if space.size is None:
        moved = space.positions(point[None]) + NEAR * generator.standard_normal((1, len(point)))
        yield space.at_positions(moved.clip(0, 1))[0]
    yield from draws(space, generator)


def _study(sampler: Any) -> Any:
    return optuna().create_study(sampler=sampler)


def _told(frame: Frame, trial: Marked) -> Any:
    """A trial that the study has not asked for."""
    states = optuna().trial.TrialState
    params = frame.params(trial.point)
    if trial.state in ACTIVE:
        return optuna().trial.create_trial(state=states.RUNNING, params=params, distributions=frame.distributions)
    state, value = verdict(trial.state, trial.loss)
    steps = {1: value} if state is states.PRUNED else {}
    return optuna().trial.create_trial(
        state=state, value=value, params=params, distributions=frame.distributions, intermediate_values=steps
    )


@lru_cache(256)
def _problems(search: OptunaSearch, space: Space) -> tuple[Problem, ...]:
    try:
        make(search.sampler, search.arguments, 0)
        first, second = (_rehearsed(search, space) for _ in range(2))
    except InvalidInput as error:
        return error.problems
    except Exception as error:  # noqa: BLE001 - whatever a sampler objects to is the user's to know
        words = f"cannot be used: {search.sampler} at this search space: {type(error).__name__}: {error}"
        return (Problem(SETTINGS, words),)
    if first == second:
        return ()
    words = (
        f"sampler {search.sampler} cannot be used: led through the same trials with the same seed it proposes other "
        "values, so a service that is started again would not go on where it was"
    )
    return (Problem(SETTINGS, words),)


def _rehearsed(search: OptunaSearch, space: Space) -> list[tuple[Any, ...]]:
    """What is proposed after some invented trials."""
    points = space.from_unit(np.random.default_rng(0).random((TRIED, len(space.dimensions))))
    trials = [Marked(str(n), NO_LABELS, point, float(n), SUCCEEDED) for n, point in enumerate(points)]
    frame, study = Frame(space), _study(make(search.sampler, search.arguments, 0))
    replay = Replay(study)
    if search.sampler in STATELESS:
        study.add_trials([_told(frame, trial) for trial in trials])
    else:
        for event in events(trials):
            replay.play(frame, event)
    return [tuple(params.values()) for params in replay.ask(frame, 2)]
