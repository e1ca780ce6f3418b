"""A search over amounts of a resource, played without an engine: trials end when and how a test says."""

from collections import Counter

import numpy as np

from katib_py.core.space import FeasibleSpace, ParameterSpec
from suggestion_services.contract import KILLED, RUNNING, SUCCEEDED, Marked, Request, SearchEnded, Trials
from suggestion_services.history import UsedPoints
from suggestion_services.space import Space


def parameter(name, low, high, kind="double", step=""):
    space = FeasibleSpace(min=str(low), max=str(high), step=step)
    return ParameterSpec(name=name, parameter_type=kind, feasible_space=space)


def space(most=27, least=1, kind="int", step=""):
    return Space.of([parameter("x", 0, 1), parameter("epochs", least, most, kind, step)])


class Play:
    """The trials of one search, by name in order of being proposed; `loss` gives a trial's result."""

    def __init__(self, algorithm, searched=None, loss=lambda values: float(values["x"]), labelled=True):
        self.algorithm, self.space, self.loss = algorithm, searched or space(), loss
        self.known, self.labelled = {}, labelled

    def request(self, count):
        active = sum(trial.state == RUNNING for trial in self.known.values())
        return Request(self.space, 7, len(self.known), count, self, active)

    def ask(self, count):
        """The names of the trials that begin."""
        names = []
        for proposal in self.algorithm.suggest(self.request(count)):
            names.append(f"t{len(self.known):04d}")
            values = dict(proposal.parameters)
            point = self.space.coordinates([self.space.read(values)])[0]
            labels = dict(proposal.labels) if self.labelled else {}
            self.known[names[-1]] = Marked(names[-1], labels, point, np.nan, RUNNING)
        return names

    def end(self, name, state=SUCCEEDED, loss=None):
        trial = self.known[name]
        value = self.loss(self.values(name)) if loss is None else loss
        self.known[name] = trial._replace(state=state, loss=value)

    def run(self, parallel, state=lambda name: SUCCEEDED, most=10_000):
        """Keep so many trials going, the oldest ends first, until the search has ended."""
        going = []
        while len(self.known) < most:
            try:
                going += self.ask(parallel - len(going))
            except SearchEnded:
                break
            name = going.pop(0)
            self.end(name, ended := state(name), np.nan if ended != SUCCEEDED else None)
        return self

    def values(self, name):
        return dict(self.space.texts(self.known[name].point))

    def label(self, name, word):
        found = [value for key, value in self.known[name].labels.items() if key.endswith(f"/{word}")]
        return found[0] if found else None

    def counted(self):
        """How many trials were run at each rung of each bracket, those that were killed left out."""
        alive = [name for name, trial in self.known.items() if trial.state != KILLED]
        return Counter((int(self.label(name, "bracket")), int(self.label(name, "rung"))) for name in alive)

    # The History of a request

    def marked(self):
        return sorted(self.known.values(), key=lambda trial: trial.state == RUNNING)

    def trials(self):
        marked = self.marked()
        points = np.array([trial.point for trial in marked]).reshape(-1, len(self.space.dimensions))
        states = np.array([trial.state for trial in marked], dtype=np.int8)
        return Trials(points, np.array([trial.loss for trial in marked]), states)

    def labels(self):
        return [trial.labels for trial in self.marked()]

    def used(self):
        return UsedPoints(set(), self.trials().points)
