"""A search space as Optuna's distributions, and trials as it wants to be told of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import EARLY_STOPPED, SUCCEEDED
from suggestion_services.optuna_samplers import optuna
from suggestion_services.space import ChoiceDimension, Dimension, Space


class Frame:
    """Values by parameter: the number of a choice or of a step, else where it lies in the unit interval."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._counted = [_counted(dimension) for dimension in space.dimensions]
        self.distributions = {
            name: _distribution(dimension, counted)
            for name, dimension, counted in zip(space.names, space.dimensions, self._counted, strict=True)
        }

    def params(self, point: Floats) -> dict[str, Any]:
        """A point of the space."""
        units = self._space.to_unit(point[None])[0]
        values = zip(self._space.names, point, units, self._counted, strict=True)
        return {name: int(value) if counted else float(unit) for name, value, unit, counted in values}

    def point(self, params: dict[str, Any]) -> Floats:
        """The point nearest to what was proposed."""
        point = np.empty((1, len(self._counted)))
        for place, (dimension, counted) in enumerate(zip(self._space.dimensions, self._counted, strict=True)):
            value = params[self._space.names[place]]
            point[0, place] = value if counted else dimension.from_unit(np.array([value]))[0]
        found: Floats = point[0]
        return found

    def suggest(self, trial: Any, sampled: bool) -> dict[str, Any]:
        """What the trial proposes; `sampled`: what a sampler relates to each other is drawn although values are set."""
        if sampled:
            # Optuna draws it only when it is looked at, and a sampler keeps what it drew for a trial.
            _ = trial.relative_params
        return {name: _suggested(trial, name, kind) for name, kind in self.distributions.items()}


def _counted(dimension: Dimension) -> bool:
    if isinstance(dimension, ChoiceDimension):
        return True
    return dimension.points is not None and not (dimension.normal or dimension.parameter.distribution.logarithmic)


def _distribution(dimension: Dimension, counted: bool) -> Any:
    kinds = optuna().distributions
    if not counted:
        return kinds.FloatDistribution(0.0, 1.0)
    last = (dimension.points or 1) - 1
    return kinds.IntDistribution(0, last) if dimension.ordered else kinds.CategoricalDistribution(range(last + 1))


def _suggested(trial: Any, name: str, kind: Any) -> Any:
    if isinstance(kind, optuna().distributions.CategoricalDistribution):
        return trial.suggest_categorical(name, kind.choices)
    if isinstance(kind, optuna().distributions.IntDistribution):
        return trial.suggest_int(name, kind.low, kind.high)
    return trial.suggest_float(name, kind.low, kind.high)


def verdict(state: int, loss: float) -> tuple[Any, float | None]:
    """How a finished trial is told: a stopped one is pruned, one without a result has failed."""
    states = optuna().trial.TrialState
    if math.isnan(loss):
        return states.FAIL, None
    if state == SUCCEEDED:
        return states.COMPLETE, loss
    return (states.PRUNED, loss) if state == EARLY_STOPPED else (states.FAIL, None)
