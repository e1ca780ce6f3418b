"""What the trials of a request say: a model of the loss, how likely a trial fails, and which points lead."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from suggestion_services.acquisition import Acquisition
from suggestion_services.arrays import Floats, Integers
from suggestion_services.contract import ACTIVE, EARLY_STOPPED, FAILED, METRICS_UNAVAILABLE, SUCCEEDED, Trials
from suggestion_services.features import Features
from suggestion_services.forests import Forest
from suggestion_services.gaussian_process import Data, Process, fit
from suggestion_services.losses import tamed

# A model rests on this many trials at most, its hyperparameters on fewer.
MOST: Final = 500
MOST_FITTED: Final = 200
LEADERS: Final = 5
# What a trial showed before it was stopped is known less exactly, in variances of the losses.
STOPPED_EARLY: Final = 0.25
LIKELIEST_FAILURE: Final = 0.99


class Model(Protocol):
    """A prediction of losses."""

    def predict(self, rows: Floats) -> tuple[Floats, Floats]:
        """Mean and deviation at rows of features."""

    def with_pending(self, row: Floats) -> Model:
        """The model once this row is being tried."""


@dataclass(frozen=True)
class Failures:
    """How likely a trial fails: a process over what did (1) and what did not (0), put on a standard scale."""

    process: Process
    rate: float
    deviation: float

    def log_success(self, rows: Floats) -> Floats:
        """The logarithm of the probability that a trial has a result."""
        chance = self.rate + self.deviation * self.process.predict(rows)[0]
        logs: Floats = np.log1p(-np.clip(chance, 0.0, LIKELIEST_FAILURE))
        return logs

    def gradient(self, row: Floats) -> Floats:
        """Of it, at one row."""
        mean, _, by_mean, _ = self.process.gradients(row)
        chance = self.rate + self.deviation * mean
        inside = 0.0 < chance < LIKELIEST_FAILURE
        return -self.deviation * by_mean / (1 - chance) if inside else np.zeros_like(row)


@dataclass(frozen=True)
class Belief:
    """A model, the least loss that it takes for certain, and the points of the best trials."""

    model: Model
    failures: Failures | None
    best: float
    leaders: Floats

    def after(self, row: Floats) -> Belief:
        """What is believed while this row is being tried."""
        model = self.model.with_pending(row)
        return replace(self, model=model, best=min(self.best, float(model.predict(row[None])[0][0])))


@dataclass(frozen=True)
class Scored:
    """An acquisition over a belief, as a score; a point that will fail is worth nothing."""

    belief: Belief
    acquisition: Acquisition

    def values(self, rows: Floats) -> Floats:
        """Of each row."""
        values = self.acquisition(*self.belief.model.predict(rows)).value
        return values + self.belief.failures.log_success(rows) if self.belief.failures else values

    def gradient(self, row: Floats) -> tuple[float, Floats]:
        """Only of a belief whose model is a process."""
        assert isinstance(self.belief.model, Process)
        mean, deviation, by_mean, by_deviation = self.belief.model.gradients(row)
        worth = self.acquisition(np.array(mean), np.array(deviation))
        value, gradient = float(worth.value), worth.by_mean * by_mean + worth.by_deviation * by_deviation
        if self.belief.failures is None:
            return value, gradient
        return value + float(self.belief.failures.log_success(row[None])[0]), gradient + self.belief.failures.gradient(
            row
        )


def belief_of(trials: Trials, features: Features, estimator: str) -> Belief:
    """What these trials say, two of which at least have a loss; `estimator` is GP, RF, ET or GBRT."""
    measured = trials.where(SUCCEEDED, EARLY_STOPPED)
    finite = np.isfinite(measured.losses)
    chosen = np.flatnonzero(finite)[_informative(features.of(measured.points[finite]), measured.losses[finite])]
    points, losses = measured.points[chosen], measured.losses[chosen]
    stopped = measured.states[chosen] == EARLY_STOPPED
    values, rows = tamed(losses), features.of(points)
    model = _model(Data(rows, values, STOPPED_EARLY * stopped, features.owners), estimator)
    for row in features.of(trials.where(*ACTIVE).points):
        model = model.with_pending(row)
    order = np.lexsort((values, stopped))
    known = rows if stopped.all() else rows[~stopped]
    best = float(model.predict(known)[0].min())
    return Belief(model, _failures(trials, features), best, points[order[:LEADERS]])


def _model(data: Data, estimator: str) -> Model:
    if estimator != "GP":
        return Forest.fitted(estimator, data.rows, data.values)
    return _process(data)


def _process(data: Data) -> Process:
    return Process(data, fit(data.only(_spread(data.values, MOST_FITTED))))


def _failures(trials: Trials, features: Features) -> Failures | None:
    """None where no trial failed."""
    ended = trials.where(SUCCEEDED, EARLY_STOPPED, FAILED, METRICS_UNAVAILABLE)
    failed = ~np.isfinite(ended.losses) | np.isin(ended.states, (FAILED, METRICS_UNAVAILABLE))
    if not failed.any():
        return None
    newest = np.concatenate([np.flatnonzero(which)[-MOST_FITTED // 2 :] for which in (failed, ~failed)])
    labels = failed[newest].astype(np.float64)
    rate, deviation = float(labels.mean()), float(labels.std()) or 1.0
    rows = features.of(ended.points[newest])
    data = Data(rows, (labels - rate) / deviation, np.zeros(len(rows)), features.owners)
    return Failures(_process(data), rate, deviation)


def _informative(rows: Floats, losses: Floats) -> Integers:
    """Of many trials the best, those nearest to the best one, and some of all others."""
    if len(losses) <= MOST:
        return np.arange(len(losses))
    best = np.argsort(losses, kind="stable")[: MOST // 4]
    near = np.argsort(((rows - rows[best[0]]) ** 2).sum(axis=1), kind="stable")[: MOST // 2]
    chosen = np.union1d(best, near)
    others = np.setdiff1d(np.arange(len(losses)), chosen)
    return np.union1d(chosen, others[_spread(losses[others], MOST - len(chosen))])


def _spread(losses: Floats, most: int) -> Integers:
    """Evenly many of the good and the bad, the best and the worst among them."""
    order = np.argsort(losses, kind="stable")
    if len(order) <= most:
        return np.sort(order)
    return np.sort(order[np.linspace(0, len(order) - 1, most).astype(np.int64)])
