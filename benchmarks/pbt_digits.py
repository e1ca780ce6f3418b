"""Population based training beside random search, with the same number of epochs in all: real trainings on digits.

python benchmarks/pbt_digits.py [--seeds 10] [--members 20] [--generations 10] [--epochs 1]
Random search trains as many networks as PBT has members, each with its own values for all of the epochs. A result is
the lowest validation loss at the end of a training; the table has its mean over the seeds, and how often each wins.
"""

from __future__ import annotations

import argparse
import copy
import os
from collections.abc import Mapping

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from katib_py.wire import api
from suggestion_services.population import PARENT
from suggestion_services.registry import ALGORITHMS
from suggestion_services.suggestion import SuggestionService
from trial_templates import digits
from trial_templates.sgd_digits.network import Settings, Training, train

SPACE = {"lr": ("0.001", "1", api.LOG_UNIFORM), "momentum": ("0", "0.98", api.UNIFORM)}
DATA = digits.split()


class Search:
    """One search in a service of its own; trainings are kept by trial, as checkpoints are."""

    def __init__(self, algorithm: str, seed: int, **settings: int) -> None:
        self._service = SuggestionService(ALGORITHMS)
        self._seed = seed
        self._message = api.Experiment(name="digits", uid=f"uid-{seed}")
        spec = self._message.spec
        for name, (low, high, distribution) in SPACE.items():
            feasible = api.FeasibleSpace(min=low, max=high, distribution=distribution)
            spec.parameter_specs.parameters.add(name=name, parameter_type=api.DOUBLE, feasible_space=feasible)
        spec.objective.objective_metric_name, spec.objective.type = "loss", api.MINIMIZE
        spec.algorithm.algorithm_name = algorithm
        for name, value in settings.items():
            spec.algorithm.algorithm_settings.add(name=name, value=str(value))
        self._trials: list[api.Trial] = []
        self._trainings: dict[str, Training] = {}
        self.losses: list[float] = []

    def run(self, count: int, epochs: int) -> None:
        """Train as many trials as the service proposes, at most `count`, for so many epochs each."""
        request = api.GetSuggestionsRequest(
            experiment=self._message,
            trials=self._trials,
            current_request_number=count,
            total_request_number=len(self._trials) + count,
        )
        request.history.SetInParent()
        reply = self._service.GetSuggestions(request.SerializeToString(), None)
        for entry in reply.parameter_assignments:
            trial = api.Trial(name=f"t{len(self._trials):05d}")
            trial.spec.parameter_assignments.assignments.extend(entry.assignments)
            trial.spec.labels.update(entry.labels)
            loss = self._train(trial, {item.name: float(item.value) for item in entry.assignments}, epochs)
            trial.status.condition = api.TrialStatus.SUCCEEDED
            trial.status.observation.metrics.add(name="loss", value=str(loss))
            self._trials.append(trial)
            self.losses.append(loss)

    def _train(self, trial: api.Trial, values: Mapping[str, float], epochs: int) -> float:
        settings = Settings(lr=values["lr"], momentum=values["momentum"], seed=self._seed + len(self._trials))
        parent = trial.spec.labels.get(PARENT, "")
        inputs = DATA.train_pixels.shape[1]
        training = copy.deepcopy(self._trainings[parent]) if parent else Training.begin(inputs, settings)
        settings = Settings(lr=settings.lr, momentum=settings.momentum, epochs=training.epochs + epochs)
        *_, last = train(DATA, settings, training)
        self._trainings[trial.name] = training
        return last.loss if np.isfinite(last.loss) else 1e3


def pbt(seed: int, members: int, generations: int, epochs: int) -> float:
    """The lowest loss of the last generation."""
    search = Search("pbt", seed, n_population=members)
    for _ in range(generations):
        search.run(members, epochs)
    return min(search.losses[-members:])


def at_random(seed: int, members: int, generations: int, epochs: int) -> float:
    """The lowest loss of as many trainings from start to end."""
    search = Search("random", seed)
    search.run(members, generations * epochs)
    return min(search.losses)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, number in (("seeds", 10), ("members", 20), ("generations", 10), ("epochs", 1)):
        parser.add_argument(f"--{name}", type=int, default=number)
    given = parser.parse_args()
    sizes = given.members, given.generations, given.epochs
    ours = np.array([pbt(seed, *sizes) for seed in range(given.seeds)])
    theirs = np.array([at_random(seed, *sizes) for seed in range(given.seeds)])
    print("| search | epochs in all | lowest validation loss | lower than the other's |")
    print("|---|---|---|---|")
    for name, losses, others in (("pbt", ours, theirs), ("random", theirs, ours)):
        error = losses.std(ddof=1) / len(losses) ** 0.5 if len(losses) > 1 else 0.0
        wins = f"{(losses < others).sum()} of {given.seeds}"
        print(f"| {name} | {np.prod(sizes)} | {losses.mean():.4f} ± {error:.4f} | {wins} |")


if __name__ == "__main__":
    main()
