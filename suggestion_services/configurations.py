"""New configurations for searches over several amounts of a resource: the same request without the amount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from suggestion_services.arrays import Floats
from suggestion_services.contract import NO_LABELS, Labels, Marked, Request, Trials
from suggestion_services.fidelity import Ladder, stable
from suggestion_services.history import UsedPoints

Configuration = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Configurations:
    """A history of configurations. `told` are the trials to learn from; used is also what has no trial yet."""

    whole: Request
    ladder: Ladder
    told: Trials
    new: Floats

    def trials(self) -> Trials:
        """Those to learn from, and the new ones as pending."""
        return self.told.with_pending(self.new)

    def labels(self) -> Sequence[Labels]:
        """None: what is learned from is chosen already."""
        return [NO_LABELS] * (len(self.told.points) + len(self.new))

    def marked(self) -> Sequence[Marked]:
        """Every trial."""
        return [item._replace(point=self.ladder.without(item.point)) for item in self.whole.history.marked()]

    def used(self) -> UsedPoints:
        """The configurations that trials have, whatever they spend."""
        return UsedPoints(set(), np.concatenate((self.ladder.without(self.whole.trials.points), self.new)))


def narrowed(request: Request, ladder: Ladder, told: Trials | None = None, new: Sequence[Floats] = ()) -> Request:
    """The request over the other parameters than the resource, its trials those `told`, by default all."""
    space = request.space.without(ladder.place)
    if told is None:
        trials = request.trials
        told = Trials(ladder.without(trials.points), trials.losses, trials.states)
    points = np.array(new, dtype=np.float64).reshape(-1, len(space.dimensions))
    initial = tuple(ladder.without(point) for point in request.initial)
    history = Configurations(request, ladder, told, points)
    return replace(request, space=space, history=history, initial=initial)


def configuration_of(trial: Marked, inner: Request, ladder: Ladder) -> Configuration:
    """A trial's configuration to the letter; `inner` is the narrowed request."""
    return stable(inner.space, inner.space.texts(ladder.without(trial.point)))
