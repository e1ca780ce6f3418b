"""Bayesian optimisation: a model of the loss says which points are worth trying (Jones et al. 1998)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import compress, islice
from typing import ClassVar, Final

import numpy as np
from scipy.stats import qmc

from katib_py.core.errors import Problem
from katib_py.core.extensions import WARM_START
from suggestion_services.acquisition import (
    Acquisition,
    ExpectedImprovement,
    LowerConfidenceBound,
    ProbabilityOfImprovement,
)
from suggestion_services.arrays import Floats
from suggestion_services.ascent import Ascent
from suggestion_services.belief import Belief, Scored, belief_of
from suggestion_services.contract import (
    EARLY_STOPPED,
    PRIOR,
    SUCCEEDED,
    Bounds,
    Proposal,
    Request,
    random_state,
    setting,
    word,
)
from suggestion_services.distinct import Distinct, draws
from suggestion_services.features import Features
from suggestion_services.settings import PATH
from suggestion_services.space import Space

# scikit-optimize's defaults (Katib's engine): the improvement that counts, and the deviations of the confidence bound.
MARGIN: Final = 0.01
DEVIATIONS: Final = 1.96
# Of four proposals three expect to improve and one is hopeful; where there are unordered values one more is curious:
# expected improvement alone may never leave a category that did well at first.
PORTFOLIO: Final = ("EI", "EI", "EI", "hopeful")
PORTFOLIO_OF_CHOICES: Final = ("EI", "hopeful", "EI", "curious")
HOPEFUL: Final = 2.0
CURIOUS: Final = 6.0
# How surely gp_hedge goes by past gains.
HEDGE: Final = 1.0
ACQUISITIONS: Final = ("portfolio", "gp_hedge", "LCB", "EI", "PI", "EIps", "PIps")
HEDGED: Final = ("EI", "LCB", "PI")
ACQUISITION: Final = "bayesianoptimization.suggestion.katib.kubeflow.org/acquisition"
# A model needs so many results, whatever the start was meant to be.
FEWEST: Final = 2
# When everything that scores well is taken.
LAST_RESORT: Final = 64
OF_GP: Final = "GP"


@dataclass(frozen=True, slots=True)
class BayesianOptimization:
    """Each proposal is the best by its acquisition function, with all that is running or proposed before as pending."""

    base_estimator: str = word(OF_GP, "the model of the loss", (OF_GP, "RF", "ET", "GBRT"))
    n_initial_points: int = setting(10, "proposals of an even start, before the model is asked", Bounds(at_least=0))
    acq_func: str = word("portfolio", "what makes a point worth trying", ACQUISITIONS)
    acq_optimizer: str = word("auto", "how the best point is looked for", ("auto", "sampling", "lbfgs"))
    random_state: int | None = random_state()

    learns: ClassVar[bool] = True
    understands: ClassVar[frozenset[str]] = frozenset({WARM_START})
    ignores_unknown_settings: ClassVar[bool] = False

    def problems(self, space: Space, max_trials: int) -> Iterator[Problem]:
        """Trees have no gradients, and need scikit-learn."""
        if self.base_estimator == OF_GP:
            return
        if self.acq_optimizer == "lbfgs":
            words = f"is lbfgs, but {self.base_estimator} has no gradients to follow; must be auto or sampling"
            yield Problem(f"{PATH}.algorithmSettings.acq_optimizer", words)
        if find_spec("sklearn") is None:
            words = f"is {self.base_estimator}, which needs scikit-learn where the search runs; GP does not"
            yield Problem(f"{PATH}.algorithmSettings.base_estimator", words)

    def suggest(self, request: Request) -> list[Proposal]:
        """As many as wanted."""
        search = _Search(self, request)
        return [search.propose(index) for index in range(request.asked, request.asked + request.count)]


class _Search:
    """One reply in the making."""

    def __init__(self, settings: BayesianOptimization, request: Request) -> None:
        self._settings = settings
        self._request = request
        self._distinct = Distinct(request, meeting=True)
        self._features = Features(request.space)
        trials = request.trials
        measured = np.isin(trials.states, (SUCCEEDED, EARLY_STOPPED)) & np.isfinite(trials.losses)
        self._ready = int(measured.sum()) >= FEWEST and len(self._features.owners) > 0
        # What earlier experiments measured stands for as much of the start.
        self._start = settings.n_initial_points - sum(labels is PRIOR for labels in compress(request.labels, measured))
        self._latest: Belief | None = None
        self._found: list[Floats] = []  # since the latest belief
        # What the ascent leaves out; of continuous points hardly one in a thousand is taken.
        self._repeatable = request.space.size is not None or not request.space.plain
        width = len(request.space.dimensions)
        used = request.history.used().points(width) if self._repeatable else ()
        self._taken = {point.tobytes() for point in used}

    def propose(self, index: int) -> Proposal:
        """The assignment number `index`."""
        generator = self._request.generator(index)
        labels: tuple[tuple[str, str], ...] = ()
        if not self._ready or index < self._start:
            point = self._distinct.first_new(self._even(index, generator), generator)
        else:
            belief = self._belief()
            name = self._chosen(belief, index, generator)
            point = self._distinct.first_new(self._promising(belief, name, generator), generator)
            labels = ((ACQUISITION, name),) if self._settings.acq_func == "gp_hedge" else ()
        self._found.append(point)
        if self._repeatable:
            self._taken.add(point.tobytes())
        return Proposal(self._request.space.texts(point), labels)

    def _belief(self) -> Belief:
        """What is believed now: all that was found before is pending."""
        if self._latest is None:
            self._latest = belief_of(self._request.trials, self._features, self._settings.base_estimator)
        while self._found:
            self._latest = self._latest.after(self._features.of(self._found.pop(0)[None])[0])
        return self._latest

    def _even(self, index: int, generator: np.random.Generator) -> Iterator[Floats]:
        """A scrambled Sobol' sequence."""
        space = self._request.space
        if len(space.dimensions) <= qmc.Sobol.MAXDIM:
            sequence = qmc.Sobol(len(space.dimensions), rng=np.random.default_rng(self._request.seed))
            if index:
                sequence.fast_forward(index)
            yield space.from_unit(sequence.random(1))[0]
        yield from draws(space, generator)

    def _promising(self, belief: Belief, name: str, generator: np.random.Generator) -> Iterator[Floats]:
        """The best by the acquisition function first."""
        space, optimizer = self._request.space, self._settings.acq_optimizer
        ascent = Ascent(space, self._features, belief.leaders, frozenset(self._taken))
        climb = self._settings.base_estimator == OF_GP
        ranked = ascent.ranked(
            Scored(belief, _acquisition(name, belief.best)), generator, climb, optimizer != "sampling"
        )
        yield from ranked[:LAST_RESORT]
        yield from islice(draws(space, generator), LAST_RESORT)

    def _chosen(self, belief: Belief, index: int, generator: np.random.Generator) -> str:
        """The acquisition function; gp_hedge draws one by what it has brought so far (Hoffman et al., UAI 2011)."""
        name = self._settings.acq_func
        if name == "portfolio":
            ordered = all(dimension.ordered for dimension in self._request.space.dimensions)
            return (PORTFOLIO if ordered else PORTFOLIO_OF_CHOICES)[index % len(PORTFOLIO)]
        if name != "gp_hedge":
            return name.removesuffix("ps")
        gains = np.zeros(len(HEDGED))
        for trial in self._request.history.marked():
            acquisition = trial.labels.get(ACQUISITION)
            if acquisition in HEDGED and not np.isnan(trial.point).any():
                row = self._features.of(trial.point[None])
                gains[HEDGED.index(acquisition)] -= belief.model.predict(row)[0][0]
        chances = np.exp(HEDGE * (gains - gains.max()))
        return str(generator.choice(HEDGED, p=chances / chances.sum()))


def _acquisition(name: str, best: float) -> Acquisition:
    match name:
        case "hopeful":
            return LowerConfidenceBound(HOPEFUL)
        case "curious":
            return LowerConfidenceBound(CURIOUS)
        case "LCB":
            return LowerConfidenceBound(DEVIATIONS)
        case "PI":
            return ProbabilityOfImprovement(best - MARGIN)
    return ExpectedImprovement(best)
