"""The best trials once more, with new seeds: which of them is the best by its mean, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Final, NamedTuple

from pydantic import Field

from katib_py.core.models import Int32, Model
from katib_py.core.names import ENV_SEED, LABEL_CONFIRMS, LABEL_SEED
from katib_py.core.trial import PARENT, Assignment, TrialRecord


class Confirm(Model):
    """How the best trials are confirmed: spec.confirm."""

    top: Int32 = Field(3, description="How many of the best trials are run once more when the search is over.")
    repeats: Int32 = Field(3, description="How often each of them is run, every time with a seed of its own.")


class Repeat(NamedTuple):
    """One more run of a trial; the seed counts from 1."""

    trial: str
    seed: int


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A trial and what its repeats measured, in their order.

    Its own value is not among them: it was chosen for that, and so flatters it.
    """

    trial: TrialRecord
    values: tuple[float, ...]

    @property
    def mean(self) -> float | None:
        """The mean of the repeats; None where none has a value."""
        return fmean(self.values) if self.values else None

    def dump(self) -> dict[str, Any]:
        """An entry of status.confirmed."""
        found: dict[str, Any] = {"trialName": self.trial.name, "repeats": len(self.values)}
        if self.mean is not None and math.isfinite(self.mean):
            found["mean"] = self.mean
        if (bounds := interval(self.values)) is not None:
            found["low"], found["high"] = bounds
        return found


def repeat_of(assignment: Assignment) -> Repeat | None:
    """Which trial the assignment repeats; None for one of the search's own."""
    if not assignment.labels:
        return None
    labels = dict(assignment.labels)
    name, seed = labels.get(LABEL_CONFIRMS), labels.get(LABEL_SEED, "")
    return Repeat(name, int(seed)) if name and seed.isascii() and seed.isdecimal() else None


def repeated(trial: TrialRecord, seed: int, name: str, index: int) -> Assignment:
    """The assignment of a trial's repeat; it goes on from the checkpoint from which the trial went on."""
    parent = ((key, value) for key, value in trial.assignment.labels if key.endswith(PARENT))
    labels = ((LABEL_CONFIRMS, trial.name), (LABEL_SEED, str(seed)), *parent)
    return Assignment(name, index, trial.assignment.parameters, labels)


def seed_env(assignment: Assignment) -> dict[str, str]:
    """What a repeat's program is told of its seed; any other's is told nothing."""
    repeat = repeat_of(assignment)
    return {ENV_SEED: str(repeat.seed)} if repeat is not None else {}


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % confidence interval of the mean (Student 1908); None for fewer than two values."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        return None
    mean = fmean(values)
    reach = student(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return mean - reach, mean + reach


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t; beyond the table by Cornish and Fisher's series (1938)."""
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    z = 1.959964
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


QUANTILES: Final = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)
